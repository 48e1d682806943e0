//! Which links to make and to remove: from what lookups ask for, what Syncline made, and what stands in HubSpot.

use std::collections::{BTreeMap, HashMap};

use crate::model::association::{AssociationKey, AssociationType, LinkStanding, MadeLink};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::ports::target::{ExistingLink, NewLink};

/// One lookup of one record with work left.
#[derive(Debug, Clone, PartialEq)]
pub struct DueLink {
    /// The record.
    pub salesforce_id: SalesforceId,
    /// Which association of the pipeline.
    pub key: AssociationKey,
    /// Its HubSpot record.
    pub from: HubspotId,
    /// The lookup's value and its HubSpot record; none when the lookup is blank.
    pub wanted: Option<(SalesforceId, HubspotId)>,
    /// The link that Syncline made before.
    pub made: Option<MadeLink>,
    /// The label; none for the plain link.
    pub label: Option<AssociationType>,
}

/// Links that other lookups of the same records hold on to: (from, to) pairs with the label that they stand under.
pub type NeededPairs = Vec<(HubspotId, HubspotId, Option<AssociationType>)>;

/// What to do for a set of lookups to one object.
#[derive(Debug, Default, PartialEq)]
pub struct LinkPlan {
    /// Links, or types of links, to remove; first.
    pub remove: Vec<NewLink>,
    /// Links to make.
    pub make: Vec<NewLink>,
    /// For each lookup, in order: what to remember, and the place in `make` of the call that must succeed before.
    pub results: Vec<LinkResult>,
}

/// What to remember of one lookup.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkResult {
    /// The link that stands afterwards.
    pub made: Option<MadeLink>,
    /// Which of `make` it waits for.
    pub waits_for: Option<usize>,
    /// Which of `remove` takes a link of ours back.
    pub removes: Option<usize>,
}

/// Plans the links; `existing` is what stands in HubSpot now.
pub fn plan(due: &[DueLink], existing: &[ExistingLink], needed: &NeededPairs) -> LinkPlan {
    let standing: HashMap<(&HubspotId, &HubspotId), &[AssociationType]> =
        existing.iter().map(|link| ((&link.from, &link.to), link.types.as_slice())).collect();
    let types_of = |from: &HubspotId, to: &HubspotId| standing.get(&(from, to)).copied();
    let mut plan = LinkPlan::default();
    let mut making: BTreeMap<(HubspotId, HubspotId), usize> = BTreeMap::new();
    for link in due {
        let removal = old_link(link).and_then(|old| removal(old, link, types_of(&old.from, &old.to), due, needed));
        let removes = removal.is_some().then_some(plan.remove.len());
        plan.remove.extend(removal);
        let Some((target, to)) = &link.wanted else {
            plan.results.push(LinkResult { made: None, waits_for: None, removes });
            continue;
        };
        let types = types_of(&link.from, to);
        let there = types.is_some_and(|types| link.label.as_ref().is_none_or(|label| has(types, label)));
        let attempted =
            link.made.as_ref().is_some_and(|made| made.target == *target && made.standing != LinkStanding::Theirs);
        let standing = if there && !attempted { LinkStanding::Theirs } else { LinkStanding::Ours };
        let made = MadeLink { target: *target, from: link.from.clone(), to: to.clone(), standing };
        let waits_for = (!there).then(|| {
            let place = *making.entry((link.from.clone(), to.clone())).or_insert_with(|| {
                let types = Vec::new();
                plan.make.push(NewLink { from: link.from.clone(), to: to.clone(), types });
                plan.make.len() - 1
            });
            add_label(&mut plan.make[place], link.label.as_ref(), types);
            place
        });
        plan.results.push(LinkResult { made: Some(made), waits_for, removes });
    }
    plan
}

/// The link that Syncline made and that the lookup no longer asks for.
fn old_link(link: &DueLink) -> Option<&MadeLink> {
    let made = link.made.as_ref().filter(|made| made.standing != LinkStanding::Theirs)?;
    let wanted = link.wanted.as_ref();
    wanted.is_none_or(|(target, to)| *target != made.target || *to != made.to).then_some(made)
}

/// How to take an old link back without touching what others put on the same pair of records.
fn removal(
    old: &MadeLink,
    link: &DueLink,
    types: Option<&[AssociationType]>,
    due: &[DueLink],
    needed: &NeededPairs,
) -> Option<NewLink> {
    let types = types?;
    let same_pair = |from: &HubspotId, to: &HubspotId| *from == old.from && *to == old.to;
    let wanted_elsewhere = due
        .iter()
        .filter(|other| other.key != link.key)
        .any(|other| other.wanted.as_ref().is_some_and(|(_, to)| same_pair(&other.from, to)));
    let needed_elsewhere = wanted_elsewhere || needed.iter().any(|(from, to, _)| same_pair(from, to));
    let labels = types.iter().filter(|kind| kind.label.is_some() && kind.category != "HUBSPOT_DEFINED");
    let foreign_labels = labels.filter(|kind| link.label.as_ref().is_none_or(|label| !same(label, kind))).count();
    let pair = |types| Some(NewLink { from: old.from.clone(), to: old.to.clone(), types });
    match &link.label {
        _ if foreign_labels == 0 && !needed_elsewhere => pair(Vec::new()),
        Some(label) if has(types, label) => pair(vec![label.clone()]),
        _ => None,
    }
}

/// A call replaces the pair's labels, so it names those that stand as well.
fn add_label(new: &mut NewLink, label: Option<&AssociationType>, standing: Option<&[AssociationType]>) {
    let Some(label) = label else { return };
    let labels =
        standing.unwrap_or_default().iter().filter(|kind| kind.label.is_some() && kind.category != "HUBSPOT_DEFINED");
    for kind in labels.chain([label]) {
        if !has(&new.types, kind) {
            new.types.push(kind.clone());
        }
    }
}

fn has(types: &[AssociationType], label: &AssociationType) -> bool {
    types.iter().any(|kind| same(kind, label))
}

fn same(one: &AssociationType, other: &AssociationType) -> bool {
    one.category == other.category && one.type_id == other.type_id
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0015g00000XyZaBAAV";
    const B: &str = "0015g00000XyZaCAAV";

    fn label(type_id: u64, label: Option<&str>) -> AssociationType {
        AssociationType { category: "USER_DEFINED".to_owned(), type_id, label: label.map(str::to_owned) }
    }

    fn made(target: &str, to: &str, standing: LinkStanding) -> MadeLink {
        MadeLink { target: target.parse().unwrap(), from: HubspotId::new("1"), to: HubspotId::new(to), standing }
    }

    fn due(key: &str, wanted: Option<(&str, &str)>, made: Option<MadeLink>, label: Option<AssociationType>) -> DueLink {
        let wanted = wanted.map(|(id, to)| (id.parse().unwrap(), HubspotId::new(to)));
        let salesforce_id = "a015g00000AbCdEAAV".parse().unwrap();
        DueLink { salesforce_id, key: AssociationKey(key.into()), from: HubspotId::new("1"), wanted, made, label }
    }

    fn existing(to: &str, types: Vec<AssociationType>) -> ExistingLink {
        ExistingLink { from: HubspotId::new("1"), to: HubspotId::new(to), types }
    }

    #[track_caller]
    fn check(
        due: &[DueLink],
        existing: &[ExistingLink],
        needed: &NeededPairs,
        remove: &[(&str, usize)],
        make: &[(&str, usize)],
    ) -> LinkPlan {
        let plan = plan(due, existing, needed);
        let shape = |links: &[NewLink]| -> Vec<(String, usize)> {
            links.iter().map(|link| (link.to.to_string(), link.types.len())).collect()
        };
        let expected = |links: &[(&str, usize)]| -> Vec<(String, usize)> {
            links.iter().map(|(to, types)| ((*to).to_owned(), *types)).collect()
        };
        assert_eq!(shape(&plan.remove), expected(remove), "removed");
        assert_eq!(shape(&plan.make), expected(make), "made");
        plan
    }

    #[test]
    fn a_moved_lookup_takes_only_our_own_link_along() {
        let plain = || vec![label(87, None)];
        let moved = |standing| [due("k", Some((B, "20")), Some(made(A, "10", standing)), None)];
        check(&moved(LinkStanding::Ours), &[existing("10", plain())], &vec![], &[("10", 0)], &[("20", 0)]);
        check(&moved(LinkStanding::Theirs), &[existing("10", plain())], &vec![], &[], &[("20", 0)]);
        let labelled = vec![label(87, None), label(91, Some("Partner"))];
        check(&moved(LinkStanding::Ours), &[existing("10", labelled)], &vec![], &[], &[("20", 0)]);
        let needed = vec![(HubspotId::new("1"), HubspotId::new("10"), None)];
        check(&moved(LinkStanding::Ours), &[existing("10", plain())], &needed, &[], &[("20", 0)]);
        check(&moved(LinkStanding::Ours), &[], &vec![], &[], &[("20", 0)]);
    }

    #[test]
    fn labels_of_others_stay() {
        let ours = label(90, Some("Billing"));
        let other = label(91, Some("Partner"));
        let cleared = [due("k", None, Some(made(A, "10", LinkStanding::Ours)), Some(ours.clone()))];
        let both = vec![label(87, None), ours.clone(), other.clone()];
        check(&cleared, &[existing("10", both)], &vec![], &[("10", 1)], &[]);
        check(&cleared, &[existing("10", vec![label(87, None), ours.clone()])], &vec![], &[("10", 0)], &[]);
        let new = [due("k", Some((A, "10")), None, Some(ours.clone()))];
        let plan = check(&new, &[existing("10", vec![label(87, None), other.clone()])], &vec![], &[], &[("10", 2)]);
        assert_eq!(plan.make[0].types, [other, ours]);
    }

    #[test]
    fn two_lookups_to_one_record_share_a_call() {
        let one = due("a", Some((A, "10")), None, Some(label(90, Some("Billing"))));
        let two = due("b", Some((A, "10")), None, Some(label(91, Some("Partner"))));
        let plan = check(&[one, two], &[], &vec![], &[], &[("10", 2)]);
        assert!(plan.results.iter().all(|result| result.waits_for == Some(0)));
    }

    #[test]
    fn a_link_that_stands_is_theirs_unless_we_were_making_it() {
        let standing = [existing("10", vec![label(87, None)])];
        let fresh = check(&[due("k", Some((A, "10")), None, None)], &standing, &vec![], &[], &[]);
        assert_eq!(fresh.results[0].made, Some(made(A, "10", LinkStanding::Theirs)));
        let crashed = due("k", Some((A, "10")), Some(made(A, "10", LinkStanding::Attempted)), None);
        let crashed = check(&[crashed], &standing, &vec![], &[], &[]);
        assert_eq!(crashed.results[0].made, Some(made(A, "10", LinkStanding::Ours)));
    }
}
