"""Drives the sandbox's Salesforce with simple-salesforce. The sandbox's address and credentials come from the environment."""

import csv
import datetime
import io
import os

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

SANDBOX = os.environ["SANDBOX_SALESFORCE"]
SUBSCRIPTIONS = int(os.environ["SANDBOX_RECORDS"])


class Loopback(HTTPAdapter):
    """simple-salesforce writes https:// and the login host by itself; both lead to the sandbox here."""

    def send(self, request, **options):
        host = request.url.split("/")[2]
        request.url = request.url.replace(f"https://{host}", SANDBOX, 1)
        return super().send(request, **options)


def session():
    made = requests.Session()
    made.mount("https://", Loopback())
    return made


def login(secret):
    return Salesforce(
        consumer_key=os.environ["SANDBOX_CLIENT_ID"],
        consumer_secret=secret,
        domain="acme.my",
        session=session(),
        version="67.0",
    )


def expect(error, part, act, *arguments, **named):
    """`act` must fail with this error, which must contain this text."""
    try:
        act(*arguments, **named)
    except error as raised:
        assert part in str(raised), f"`{part}` is not in: {raised}"
        return
    raise AssertionError(f"{act} did not fail with {error.__name__}")


expect(SalesforceAuthenticationFailed, "invalid_client", login, "wrong secret")
sf = login(os.environ["SANDBOX_CLIENT_SECRET"])
assert sf.sf_instance == SANDBOX.removeprefix("http://"), sf.sf_instance

# Describe.
names = {entry["name"] for entry in sf.describe()["sobjects"]}
assert {"Account", "WorkOrder", "Subscription__c"} <= names, names
described = sf.Subscription__c.describe()
fields = {field["name"]: field for field in described["fields"]}
assert fields["Account__c"]["referenceTo"] == ["Account"]
assert fields["Amount__c"]["type"] == "currency" and fields["Amount__c"]["scale"] == 2
assert "Cancelled" in [value["value"] for value in fields["Status__c"]["picklistValues"]]
expect(SalesforceResourceNotFound, "NOT_FOUND", sf.Nothing__c.describe)
assert sf.limits()["DailyApiRequests"]["Remaining"] > 0

# Queries with pages.
small_pages = {"Sforce-Query-Options": "batchSize=200"}
soql = "SELECT Id, Name, Account__r.Name FROM Subscription__c ORDER BY Id"
first = sf.query(soql, headers=small_pages)
assert (first["totalSize"], len(first["records"]), first["done"]) == (SUBSCRIPTIONS, 200, False), first["totalSize"]
second = sf.query_more(first["nextRecordsUrl"], identifier_is_url=True, headers=small_pages)
assert second["records"][0]["Id"] > first["records"][-1]["Id"]
rows = list(sf.query_all_iter(soql))
assert len({row["Id"] for row in rows}) == SUBSCRIPTIONS
assert any(row["Account__r"] for row in rows) and any(row["Account__r"] is None for row in rows)
assert sf.query("SELECT COUNT() FROM Subscription__c")["totalSize"] == SUBSCRIPTIONS
expect(SalesforceMalformedRequest, "INVALID_FIELD", sf.query, "SELECT Nope__c FROM Subscription__c")
expect(SalesforceMalformedRequest, "MALFORMED_QUERY", sf.query, "SELECT Id FORM Subscription__c")

# Create, read, update, delete.
begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
account = sf.Account.create({"Name": "Zoë & Söhne 🚀"})
assert account["success"] and len(account["id"]) == 18, account
created = sf.Subscription__c.create(
    {"Name": "From Python", "Status__c": "Active", "Amount__c": 12.5, "Account__c": account["id"]}
)
record = sf.Subscription__c.get(created["id"])
assert (record["Name"], record["Amount__c"], record["Account__c"]) == ("From Python", 12.5, account["id"]), record
assert sf.Subscription__c.update(created["id"], {"Status__c": "On Hold", "Amount__c": None}) == 204
found = sf.query(f"SELECT Status__c, Amount__c, Account__r.Name FROM Subscription__c WHERE Id = '{created['id']}'")
record = found["records"][0]
assert (record["Status__c"], record["Amount__c"]) == ("On Hold", None), record
assert record["Account__r"]["Name"] == "Zoë & Söhne 🚀"
expect(SalesforceMalformedRequest, "REQUIRED_FIELD_MISSING", sf.Account.create, {"Phone": "1"})
wrong = {"Status__c": "Exploded"}
expect(SalesforceMalformedRequest, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", sf.Subscription__c.update, created["id"], wrong)

# Bulk API 2.0.
results = sf.bulk2.Subscription__c.query("SELECT Id, Name, Notes__c FROM Subscription__c", max_records=200)
pages = [list(csv.DictReader(io.StringIO(page))) for page in results]
assert len(pages) >= 3, f"{len(pages)} pages"
bulk = {row["Id"]: row for page in pages for row in page}
assert len(bulk) == SUBSCRIPTIONS + 1, len(bulk)
for row in rows:
    assert bulk[row["Id"]]["Name"] == row["Name"], row

# Deletes.
assert sf.Subscription__c.delete(created["id"]) == 204
expect(SalesforceResourceNotFound, "", sf.Subscription__c.get, created["id"])
assert sf.query(f"SELECT Id FROM Subscription__c WHERE Id = '{created['id']}'")["totalSize"] == 0
tombstone = sf.query(f"SELECT IsDeleted FROM Subscription__c WHERE Id = '{created['id']}'", include_deleted=True)
assert tombstone["records"][0]["IsDeleted"] is True
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)
deleted = sf.Subscription__c.deleted(begin, end)
assert created["id"] in [entry["id"] for entry in deleted["deletedRecords"]], deleted

# A session that is over.
sf.session_id = "00D5g000004XYZk!expired"
sf.headers["Authorization"] = f"Bearer {sf.session_id}"
sf._salesforce_login_partial = None
expect(SalesforceExpiredSession, "INVALID_SESSION_ID", sf.query, "SELECT Id FROM Account")
print("simple-salesforce: ok")
