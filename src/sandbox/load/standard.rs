//! Standard objects that a project builds on: the fields that most orgs use, since a project holds only what it changes.

use serde_json::{Value, json};

/// Objects beside those of the sample org: name, plural label, key prefix, fields. A field is its name, its type, and where it
/// is a lookup the object that it leads to; the first one names a record.
const OBJECTS: [(&str, &str, &str, &str); 14] = [
    (
        "Asset",
        "Assets",
        "02i",
        "Name:string SerialNumber:string Status:picklist Price:currency PurchaseDate:date AccountId:Account ContactId:Contact",
    ),
    (
        "Campaign",
        "Campaigns",
        "701",
        "Name:string Status:picklist Type:picklist StartDate:date EndDate:date IsActive:boolean",
    ),
    (
        "Case",
        "Cases",
        "500",
        "CaseNumber:auto Subject:string Status:picklist Priority:picklist Origin:picklist Description:textarea IsClosed:boolean AccountId:Account ContactId:Contact",
    ),
    (
        "Contract",
        "Contracts",
        "800",
        "ContractNumber:auto Status:picklist StartDate:date EndDate:date ContractTerm:int AccountId:Account",
    ),
    ("Event", "Events", "00U", "Subject:string StartDateTime:datetime EndDateTime:datetime"),
    ("Group", "Groups", "00G", "Name:string DeveloperName:string Type:picklist"),
    (
        "Lead",
        "Leads",
        "00Q",
        "Name:string FirstName:string LastName:string Company:string Email:email Phone:phone Status:picklist LeadSource:picklist IsConverted:boolean",
    ),
    (
        "Opportunity",
        "Opportunities",
        "006",
        "Name:string StageName:picklist Amount:currency CloseDate:date Probability:percent Type:picklist IsClosed:boolean IsWon:boolean AccountId:Account",
    ),
    (
        "OpportunityLineItem",
        "Opportunity Products",
        "00k",
        "Name:string Quantity:double UnitPrice:currency OpportunityId:Opportunity Product2Id:Product2",
    ),
    (
        "Order",
        "Orders",
        "801",
        "OrderNumber:auto Status:picklist EffectiveDate:date TotalAmount:currency AccountId:Account",
    ),
    ("Pricebook2", "Price Books", "01s", "Name:string IsActive:boolean"),
    (
        "Product2",
        "Products",
        "01t",
        "Name:string ProductCode:string Family:picklist IsActive:boolean Description:textarea",
    ),
    ("RecordType", "Record Types", "012", "Name:string DeveloperName:string SobjectType:picklist IsActive:boolean"),
    ("Task", "Tasks", "00T", "Subject:string Status:picklist Priority:picklist ActivityDate:date"),
];

/// A standard object, in the form of a seed: one of the sample org's, one of the list, or one that is only known by name.
pub fn object(name: &str, place: usize) -> Value {
    let sample = crate::sandbox::seed::objects();
    let sample = sample.as_array().into_iter().flatten().find(|known| known["name"] == name && known["custom"] != true);
    // The sample org's descriptions are the fuller ones.
    if let Some(known) = sample {
        return known.clone();
    }
    let listed = OBJECTS.iter().find(|(object, ..)| *object == name);
    let plural = format!("{name}s");
    let prefix = super::names::key_prefix("", place).replacen('a', "z", 1);
    let (_, plural, prefix, fields) = listed.copied().unwrap_or((name, &plural, &prefix, "Name:string"));
    let mut fields: Vec<Value> = fields.split(' ').enumerate().map(|(place, spec)| field(spec, place == 0)).collect();
    // These belong to nobody.
    if !["Group", "RecordType", "Pricebook2", "Product2", "OpportunityLineItem"].contains(&name) {
        fields.push(owner());
    }
    json!({"name": name, "label": name, "labelPlural": plural, "keyPrefix": prefix, "custom": false, "fields": fields,
        "mergeable": name == "Lead"})
}

/// The field that says whose a record is.
pub fn owner() -> Value {
    json!({"name": "OwnerId", "type": "reference", "label": "Owner ID", "referenceTo": ["Group", "User"],
        "relationshipName": "Owner", "nillable": false, "defaultedOnCreate": true})
}

fn field(spec: &str, title: bool) -> Value {
    let (name, kind) = spec.split_once(':').unwrap_or((spec, "string"));
    let mut field = json!({"name": name, "label": name, "type": kind});
    match kind {
        "auto" => {
            field["type"] = "string".into();
            field["autoNumber"] = true.into();
        }
        "currency" | "percent" | "double" => field["scale"] = 2.into(),
        lookup if lookup.starts_with(|letter: char| letter.is_ascii_uppercase()) => {
            field["type"] = "reference".into();
            field["referenceTo"] = json!([lookup]);
            field["relationshipName"] = name.trim_end_matches("Id").into();
        }
        _ => {}
    }
    if title {
        field["nameField"] = true.into();
        if kind == "string" {
            field["nillable"] = false.into();
            field["length"] = 255.into();
        }
    }
    field
}
