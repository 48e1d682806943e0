//! The kinds of values that an expression may have, as far as they are known before a record is.

use std::ops::BitOr;

use super::signature::{Gives, Takes};
use super::syntax::{Arithmetic, Comparison};
use crate::model::object::FieldKind;

/// A set of kinds; and those of the items, where it may be a list or a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds {
    bits: u16,
    items: u16,
}

impl Kinds {
    pub(super) const NOTHING: Self = Self::of(0);
    pub(super) const BLANK: Self = Self::of(1);
    pub(super) const TEXT: Self = Self::of(2);
    pub(super) const NUMBER: Self = Self::of(4);
    pub(super) const BOOL: Self = Self::of(8);
    pub(super) const LIST: Self = Self::of(16);
    pub(super) const MAP: Self = Self::of(32);
    pub(super) const DATE: Self = Self::of(64);
    pub(super) const MOMENT: Self = Self::of(128);
    /// What may be anything.
    pub(super) const ANY: Self = Self { bits: 255, items: 255 };
    /// Texts of all kinds.
    const TEXTS: Self = Self::of(2 | 64 | 128);

    const fn of(bits: u16) -> Self {
        Self { bits, items: 0 }
    }

    /// What a field of the record holds.
    pub(super) fn of_field(kind: &FieldKind) -> Self {
        use FieldKind as F;
        let kinds = match kind {
            F::Boolean => Self::BOOL,
            F::Int | F::Long | F::Double | F::Currency | F::Percent => Self::NUMBER,
            F::Date => Self::DATE,
            F::DateTime => Self::MOMENT,
            // Picklists, ids and references, too: what a template sees of them is their text.
            _ => Self::TEXT,
        };
        // Any field may be blank, also one that is required: records from before the rule exist.
        kinds | Self::BLANK
    }

    /// A list or map of these.
    pub(super) fn holding(self, items: Self) -> Self {
        Self { bits: self.bits, items: items.bits }
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.bits & other.bits != 0
    }

    /// Those that both have.
    pub(super) fn and(self, other: Self) -> Self {
        Self { bits: self.bits & other.bits, items: self.items }
    }

    /// Without blanks.
    pub(super) fn filled(self) -> Self {
        Self { bits: self.bits & !Self::BLANK.bits, items: self.items }
    }

    pub(super) fn is_nothing(self) -> bool {
        self.bits == 0
    }

    /// Whether it is one of these and nothing else, blanks aside.
    pub(super) fn is_only(self, other: Self) -> bool {
        !self.filled().is_nothing() && self.filled().bits & !other.bits == 0
    }

    /// The items of a list or map, or what else a loop over it gives. The items of lists in lists are not followed.
    pub(super) fn item(self) -> Self {
        let nested = if self.items & (Self::LIST.bits | Self::MAP.bits) != 0 { Self::ANY.bits } else { 0 };
        Self { bits: self.items, items: nested }
    }

    /// For messages.
    pub(super) fn described(self) -> String {
        let names = [
            (Self::TEXT, "a text"),
            (Self::NUMBER, "a number"),
            (Self::BOOL, "a checkbox"),
            (Self::DATE, "a date"),
            (Self::MOMENT, "a moment"),
            (Self::LIST, "a list"),
            (Self::MAP, "a map"),
        ];
        let kinds: Vec<&str> = names.iter().filter(|(kind, _)| self.has(*kind)).map(|(_, name)| *name).collect();
        if kinds.is_empty() { "a blank".to_owned() } else { kinds.join(" or ") }
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits, items: self.items | other.items }
    }
}

/// What fits a filter, a test or an argument.
pub(super) fn fitting(takes: Takes) -> Kinds {
    match takes {
        Takes::Anything => Kinds::ANY,
        // Lists and maps are left out, as their text would be a programmer's.
        Takes::Text => Kinds::TEXTS | Kinds::NUMBER | Kinds::BOOL,
        Takes::Number | Takes::Whole => Kinds::NUMBER | Kinds::TEXT,
        Takes::Day => Kinds::TEXTS,
        Takes::Moment => Kinds::TEXT | Kinds::MOMENT,
        Takes::List => Kinds::LIST,
        Takes::Flag => Kinds::BOOL,
    }
}

/// What a filter gives for such an input, blanks aside.
pub(super) fn given(gives: Gives, input: Kinds, first: Kinds) -> Kinds {
    match gives {
        Gives::Text => Kinds::TEXT,
        Gives::Number => Kinds::NUMBER,
        Gives::Bool => Kinds::BOOL,
        Gives::Moment => Kinds::MOMENT,
        Gives::Texts => Kinds::LIST.holding(Kinds::TEXT | Kinds::BLANK),
        Gives::Same => input.filled(),
        Gives::Item if input.is_only(Kinds::LIST) => input.item() | Kinds::BLANK,
        Gives::Item => Kinds::ANY,
        Gives::Either => input.filled() | first,
    }
}

/// The result of an operator; nothing where it fails for all values that are not blank.
pub(super) fn arithmetic(operator: Arithmetic, left: Kinds, right: Kinds) -> Kinds {
    use Arithmetic as A;
    let both = |kind: Kinds, other: Kinds| left.has(kind) && right.has(other);
    let mut result = Kinds::NOTHING;
    if both(Kinds::NUMBER, Kinds::NUMBER) {
        result = result | Kinds::NUMBER;
    }
    if operator == A::Add && both(Kinds::TEXTS, Kinds::TEXTS) {
        result = result | Kinds::TEXT;
    }
    if operator == A::Add && both(Kinds::LIST, Kinds::LIST) {
        result = result | (left | right).and(Kinds::LIST);
    }
    if operator == A::Multiply && (both(Kinds::TEXTS, Kinds::NUMBER) || both(Kinds::NUMBER, Kinds::TEXTS)) {
        result = result | Kinds::TEXT;
    }
    if left.has(Kinds::BLANK) || right.has(Kinds::BLANK) {
        // A blank beside a text adds nothing to it.
        let kept = if operator == A::Add { (left | right).and(Kinds::TEXT) } else { Kinds::NOTHING };
        // Without blanks it always fails; that a blank record would pass does not make the operator right.
        return if result.is_nothing() && !left.filled().is_nothing() && !right.filled().is_nothing() {
            Kinds::NOTHING
        } else {
            result | kept | Kinds::BLANK
        };
    }
    result
}

/// Whether a comparison can be made at all between values that are not blank.
pub(super) fn comparable(comparison: Comparison, left: Kinds, right: Kinds) -> bool {
    let both = |kind: Kinds| left.has(kind) && right.has(kind);
    if left.filled().is_nothing() || right.filled().is_nothing() {
        return true;
    }
    match comparison {
        // Values of two kinds are unequal, which is an answer; `check` warns where nobody can mean it.
        Comparison::Equal | Comparison::Unequal => true,
        Comparison::In | Comparison::NotIn => right.has(Kinds::LIST | Kinds::MAP) || both(Kinds::TEXTS),
        _ => both(Kinds::TEXTS) || both(Kinds::NUMBER) || both(Kinds::BOOL),
    }
}
