//! What the answers of a batch read say of each input: found, proven absent, or nothing. Pure.
//!
//! HubSpot's answers may be short, name an input twice, or name what was not asked for. Only an input that an answer names
//! is accounted for; the rest is asked for again.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};

use super::errors::{context_texts, is_not_found};
use super::wire::{Associations, Batch, ErrorBody, Object, WireType, text};
use crate::model::association::AssociationType;
use crate::model::ids::HubspotId;
use crate::ports::target::{Lookup, PairTypes, TargetRecord};

/// How often the inputs are asked for of which no answer says a word.
pub(super) const LOOKS_MAX: u32 = 3;

/// Records by key, as far as the answers tell.
pub(super) struct Records<'a> {
    key_property: &'a str,
    keys: &'a [String],
    lookups: Vec<Lookup<TargetRecord>>,
}

impl<'a> Records<'a> {
    /// Nothing is known yet.
    pub(super) fn new(key_property: &'a str, keys: &'a [String]) -> Self {
        Self { key_property, keys, lookups: vec![Lookup::Unknown; keys.len()] }
    }

    /// The keys of which nothing is known.
    pub(super) fn open(&self) -> Vec<&'a str> {
        let open = self.keys.iter().zip(&self.lookups).filter(|(_, lookup)| lookup.is_unknown());
        open.map(|(key, _)| key.as_str()).collect()
    }

    /// Takes in an answer; `asked` are the keys that it is about.
    pub(super) fn enter(&mut self, asked: &[&str], answer: Batch<Object>) {
        if !is_complete(answer.status.as_deref()) {
            return;
        }
        let places: HashMap<&str, usize> = self.keys.iter().enumerate().map(|(at, key)| (key.as_str(), at)).collect();
        let mut missing: Vec<usize> = answer.errors.iter().flat_map(|error| self.named(error, &places)).collect();
        let nameless = answer.errors.iter().any(|error| is_not_found(error) && !names_any(error, self.key_property));
        let mut named: BTreeMap<usize, Vec<TargetRecord>> = BTreeMap::new();
        let mut unlike = 0;
        for object in answer.results {
            let key = object.properties.get(self.key_property).cloned().flatten().unwrap_or_default();
            match places.get(key.as_str()) {
                Some(place) if object.archived == Some(true) => missing.push(*place),
                Some(place) => named.entry(*place).or_default().extend(record(object)),
                None => {
                    unlike += 1;
                    // HubSpot may compare without regard to case; a record whose key is not ours to the letter is not
                    // the one that was asked for.
                    let loosely = |known: &&str| known.eq_ignore_ascii_case(key.trim());
                    missing.extend(asked.iter().find(|known| loosely(known)).and_then(|known| places.get(*known)));
                }
            }
        }
        // An error that names nobody is about the only input.
        if let ([only], true, true, 0) = (asked, nameless, named.is_empty(), unlike) {
            missing.extend(places.get(*only));
        }
        for place in missing {
            self.lookups[place] = Lookup::Absent;
        }
        for (place, mut records) in named {
            let same = records.windows(2).all(|pair| pair[0].id == pair[1].id);
            // Two records under one unique key cannot be: the answer is not to be trusted.
            self.lookups[place] = match records.pop() {
                Some(record) if same => Lookup::Found(record),
                _ => Lookup::Unknown,
            };
        }
    }

    /// Every input was refused as not found, in one error.
    pub(super) fn enter_refusal(&mut self, asked: &[&str]) {
        // Which of several are meant, such an error does not say.
        if let [only] = asked
            && let Some(place) = self.keys.iter().position(|key| key == only)
        {
            self.lookups[place] = Lookup::Absent;
        }
    }

    /// What is known in the end.
    pub(super) fn finish(self) -> Vec<Lookup<TargetRecord>> {
        self.lookups
    }

    fn named(&self, error: &ErrorBody, places: &HashMap<&str, usize>) -> Vec<usize> {
        if !is_not_found(error) {
            return Vec::new();
        }
        let names = ["ids", "id", self.key_property].into_iter().flat_map(|key| context_texts(error, key));
        names.filter_map(|name| places.get(name.as_str()).copied()).collect()
    }
}

fn names_any(error: &ErrorBody, key_property: &str) -> bool {
    ["ids", "id", key_property].into_iter().any(|key| !context_texts(error, key).is_empty())
}

/// Any other status leaves the outcome open.
fn is_complete(status: Option<&str>) -> bool {
    let complete = status.is_none_or(|status| status == "COMPLETE");
    if !complete {
        tracing::warn!(status, "a batch read is not complete");
    }
    complete
}

/// A record of an answer.
pub(super) fn record(object: Object) -> Option<TargetRecord> {
    Some(TargetRecord { id: HubspotId::new(text(object.id.as_ref()?)?), properties: object.properties })
}

/// Associations by record, as far as the answers tell.
pub(super) struct AssociationsOf<'a> {
    from: &'a [HubspotId],
    known: Vec<Known>,
}

/// What is known of the associations of one record.
#[derive(Default)]
struct Known {
    associations: Vec<PairTypes>,
    /// Where the next page starts.
    after: Option<String>,
    /// An answer named the record.
    named: bool,
    /// All its pages were read.
    whole: bool,
}

impl<'a> AssociationsOf<'a> {
    /// Nothing is known yet.
    pub(super) fn new(from: &'a [HubspotId]) -> Self {
        Self { from, known: from.iter().map(|_| Known::default()).collect() }
    }

    /// The records to ask for, each with the place of its next page.
    pub(super) fn open(&self) -> Vec<(&'a HubspotId, Option<String>)> {
        let open = self.from.iter().zip(&self.known).filter(|(_, known)| !known.whole);
        open.map(|(id, known)| (id, known.after.clone())).collect()
    }

    /// Takes in an answer; whether it brought anything.
    pub(super) fn enter(&mut self, answer: Batch<Associations>) -> bool {
        if !is_complete(answer.status.as_deref()) {
            return false;
        }
        let from = self.from;
        let places = LazyCell::new(|| from.iter().enumerate().map(|(at, id)| (id, at)).collect());
        let places: &LazyCell<HashMap<&HubspotId, usize>, _> = &places;
        let mut news = false;
        let mut pages: Vec<(usize, Associations)> = Vec::with_capacity(answer.results.len());
        for result in answer.results {
            let Some(id) = &result.from.id else { continue };
            // Mostly records are named in the order in which they were asked for.
            let next = pages.last().map_or(0, |(place, _)| place + 1);
            let place = Some(next).filter(|next| from.get(*next) == Some(id));
            let place = place.or_else(|| places.get(id).copied());
            if let Some(place) = place.filter(|place| !self.known[*place].whole) {
                pages.push((place, result));
            }
        }
        // Each page counts once, however often it is named.
        if !pages.is_sorted_by(|(one, _), (other, _)| one < other) {
            pages = pages.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
        }
        for (place, page) in pages {
            let after = page.paging.as_ref().and_then(super::wire::Paging::after);
            let known = &mut self.known[place];
            // A page that names itself as the next one has no end.
            if after.is_some() && after == known.after {
                continue;
            }
            known.associations.reserve_exact(page.to.len());
            for association in page.to {
                let Some(to) = association.to_object_id else { continue };
                // Not collected: that would keep the memory of what was read, and cut it to size.
                let mut types = Vec::with_capacity(association.association_types.len());
                types.extend(association.association_types.into_iter().filter_map(association_type));
                known.associations.push(PairTypes { from: self.from[place].clone(), to, types });
            }
            known.named = true;
            known.whole = after.is_none();
            known.after = after;
            news = true;
        }
        for error in answer.errors.iter().filter(|error| is_not_found(error)) {
            let names = ["fromObjectId", "ids", "id"].into_iter().flat_map(|key| context_texts(error, key));
            for place in names.filter_map(|id| places.get(&HubspotId::new(id)).copied()) {
                news |= !self.known[place].whole;
                self.known[place].whole = true;
            }
        }
        news
    }

    /// The only record has no associations.
    pub(super) fn enter_refusal(&mut self) {
        if let [only] = self.known.as_mut_slice() {
            only.whole = true;
        }
    }

    /// What is known in the end.
    pub(super) fn finish(self) -> Vec<Lookup<Vec<PairTypes>>> {
        let report = |known: Known| match known {
            Known { whole: false, .. } => Lookup::Unknown,
            Known { named: true, associations, .. } => Lookup::Found(associations),
            Known { named: false, .. } => Lookup::Absent,
        };
        self.known.into_iter().map(report).collect()
    }
}

/// A type of an association, where it is told.
pub(super) fn association_type(kind: WireType) -> Option<AssociationType> {
    Some(AssociationType {
        category: kind.category?,
        type_id: kind.type_id?,
        label: kind.label.filter(|label| !label.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::hubspot::regular::AssociationsBatch;
    use crate::connect::hubspot::wire::{Answer, ReadBatch};

    fn letters<T>(lookups: &[Lookup<T>]) -> String {
        let letter = |lookup: &Lookup<T>| match lookup {
            Lookup::Found(_) => 'f',
            Lookup::Absent => 'a',
            Lookup::Unknown => 'u',
        };
        lookups.iter().map(letter).collect()
    }

    /// One letter a key: f found, a absent, u unknown.
    #[track_caller]
    fn check(keys: &[&str], body: &str, expected: &str) {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let mut records = Records::new("sf", &keys);
        let asked = records.open();
        records.enter(&asked, serde_json::from_str(body).unwrap());
        assert_eq!(letters(&records.finish()), expected, "{body}");
    }

    #[test]
    fn only_what_an_answer_names_is_known() {
        let result = |id: &str, key: &str| format!(r#"{{"id":"{id}","properties":{{"sf":"{key}"}}}}"#);
        let missing = |ids: &str| format!(r#"{{"category":"OBJECT_NOT_FOUND","context":{{"ids":[{ids}]}}}}"#);
        let body = |results: &[String], errors: &[String]| {
            format!(r#"{{"status":"COMPLETE","results":[{}],"errors":[{}]}}"#, results.join(","), errors.join(","))
        };
        let all = ["A", "B", "C"];
        check(&all, r#"{"status":"COMPLETE","results":[]}"#, "uuu");
        check(&all, &body(&[result("1", "A"), result("3", "C")], &[]), "fuf");
        check(&all, &body(&[result("1", "A")], &[missing(r#""C","B""#)]), "faa");
        check(&all, &body(&[result("1", "A"), result("1", "A")], &[]), "fuu");
        check(&all, &body(&[result("1", "A"), result("2", "A")], &[]), "uuu");
        check(&all, &body(&[result("9", "Z")], &[missing(r#""Y""#)]), "uuu");
        check(&all, &body(&[], &[r#"{"category":"OBJECT_NOT_FOUND"}"#.to_owned()]), "uuu");
        check(&["A"], &body(&[], &[r#"{"category":"OBJECT_NOT_FOUND"}"#.to_owned()]), "a");
        check(&["A"], &body(&[result("9", "Z")], &[r#"{"category":"OBJECT_NOT_FOUND"}"#.to_owned()]), "u");
        check(&all, &body(&[], &[r#"{"category":"VALIDATION_ERROR","context":{"ids":["A"]}}"#.to_owned()]), "uuu");
        check(&["A"], &body(&[result("1", "a")], &[]), "a");
        check(&["A"], r#"{"results":[{"id":"1","archived":true,"properties":{"sf":"A"}}]}"#, "a");
        check(&["A"], r#"{"status":"PROCESSING","results":[{"id":"1","properties":{"sf":"A"}}]}"#, "u");
        check(&["A"], r#"{"results":[{"properties":{"sf":"A"}}]}"#, "u");
    }

    #[track_caller]
    fn check_associations(bodies: &[&str], expected: &str, count: usize) {
        let from: Vec<HubspotId> = ["1", "2"].map(HubspotId::new).to_vec();
        let mut associations = AssociationsOf::new(&from);
        for body in bodies {
            associations.enter(serde_json::from_str(body).unwrap());
        }
        let lookups = associations.finish();
        assert_eq!(letters(&lookups), expected, "{bodies:?}");
        assert_eq!(lookups.iter().filter_map(Lookup::found).flatten().count(), count, "{bodies:?}");
    }

    #[test]
    fn a_record_without_associations_is_named_by_an_error() {
        let one = r#"{"results":[{"from":{"id":1},"to":[{"toObjectId":9}]}]}"#;
        check_associations(&[r#"{"status":"COMPLETE","results":[]}"#], "uu", 0);
        check_associations(&[one], "fu", 1);
        check_associations(&[one, one], "fu", 1);
        let none = r#"{"results":[],"errors":[{"category":"OBJECT_NOT_FOUND",
            "subCategory":"crm.associations.NO_ASSOCIATIONS_FOUND","context":{"fromObjectId":["2"]}}]}"#;
        check_associations(&[one, none], "fa", 1);
        check_associations(&[r#"{"results":[{"from":{"id":"2"},"to":[]}]}"#], "uf", 0);
        check_associations(&[r#"{"results":[{"from":{"id":"7"},"to":[{"toObjectId":9}]}]}"#], "uu", 0);
    }

    #[test]
    fn associations_are_paged_to_their_end() {
        let first = r#"{"results":[{"from":{"id":"1"},"to":[{"toObjectId":8}],"paging":{"next":{"after":"x"}}}]}"#;
        let last = r#"{"results":[{"from":{"id":"1"},"to":[{"toObjectId":9}]}]}"#;
        check_associations(&[first], "uu", 0);
        check_associations(&[first, first], "uu", 0);
        check_associations(&[first, last], "fu", 2);
    }

    #[test]
    fn associations_are_read_alike_in_one_pass_and_entry_by_entry() {
        let check = |body: &str, results: usize, errors: usize| {
            let AssociationsBatch(ReadBatch(read)) = <AssociationsBatch as Answer>::read(body.as_bytes()).unwrap();
            let ReadBatch(slowly): ReadBatch<Associations> =
                crate::connect::http::entries::answer(body.as_bytes()).unwrap();
            assert_eq!(format!("{read:?}"), format!("{slowly:?}"), "{body}");
            assert_eq!((read.results.len(), read.errors.len()), (results, errors), "{body}");
        };
        let one = r#"{"from":{"id":"1"},"to":[{"toObjectId":9,"associationTypes":[{"category":"USER_DEFINED","typeId":5,"label":null},
            {"category":"HUBSPOT_DEFINED","typeId":1,"label":"Primary"}]},{"toObjectId":"10"}],"paging":{"next":{"after":"x"}}}"#;
        check(&format!(r#"{{"status":"COMPLETE","results":[{one},{{"from":{{"id":2}},"to":[]}}]}}"#), 2, 0);
        check(
            r#"{"results":[{"from":null,"to":null},{}],"errors":[{"message":"no","context":[]},{"category":7}]}"#,
            2,
            2,
        );
        check(
            &format!(
                r#"{{"results":[{one},{{"from":{{"id":3}},"to":[{{"toObjectId":8,"associationTypes":[["x"],{{"typeId":"x"}}]}},7]}}]}}"#
            ),
            2,
            0,
        );
        check(&format!(r#"{{"results":[{one},["from"],{{"from":{{"id":true}}}}],"errors":null}}"#), 1, 0);
        check(r#"{"status":"COMPLETE"}"#, 0, 0);
    }
}
