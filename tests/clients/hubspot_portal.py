"""Drives the sandbox's HubSpot with hubspot-api-client. The sandbox's address and token come from the environment."""

import os
import time

from hubspot import HubSpot
from hubspot.crm.associations.v4 import (
    AssociationSpec,
    BatchInputPublicAssociationMultiPost,
    BatchInputPublicFetchAssociationsBatchRequest,
    PublicAssociationMultiPost,
    PublicFetchAssociationsBatchRequest,
    PublicObjectId,
)
from hubspot.crm.objects import (
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchInputSimplePublicObjectId,
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.objects.exceptions import ApiException as ObjectsError
from hubspot.crm.properties import PropertyCreate
from hubspot.crm.schemas import (
    ObjectSchemaEgg,
    ObjectTypeDefinitionLabels,
    ObjectTypePropertyCreate,
)
from hubspot.crm.schemas.exceptions import ApiException as SchemasError

HOST = os.environ["SANDBOX_HUBSPOT"]


def client(token):
    return HubSpot(access_token=token, host=HOST)


def expect(error, status, part, act, *arguments, **named):
    """`act` must fail with this error and status, and a body that contains this text."""
    try:
        act(*arguments, **named)
    except error as raised:
        assert raised.status == status and part in raised.body, f"{raised.status}: {raised.body}"
        return
    raise AssertionError(f"{act} did not fail")


expect(SchemasError, 401, "INVALID_AUTHENTICATION", client("wrong").crm.schemas.core_api.get_all)
hubspot = client(os.environ["SANDBOX_TOKEN"])
objects = hubspot.crm.objects

# Schemas.
schemas = {schema.name: schema for schema in hubspot.crm.schemas.core_api.get_all().results}
assert {"subscriptions", "work_orders"} <= set(schemas), set(schemas)
egg = ObjectSchemaEgg(
    name="python_things",
    labels=ObjectTypeDefinitionLabels(singular="Thing", plural="Things"),
    primary_display_property="title",
    required_properties=["title"],
    properties=[
        ObjectTypePropertyCreate(name="title", label="Title", type="string", field_type="text"),
        ObjectTypePropertyCreate(name="key", label="Key", type="string", field_type="text", has_unique_value=True),
    ],
    associated_objects=["0-2"],
)
thing = hubspot.crm.schemas.core_api.create(object_schema_egg=egg)
assert thing.object_type_id.startswith("2-") and thing.fully_qualified_name.endswith("_python_things"), thing
# A custom object is named by its type id; its bare name is refused.
THINGS = thing.object_type_id
SUBSCRIPTIONS = schemas["subscriptions"].object_type_id
expect(SchemasError, 409, "", hubspot.crm.schemas.core_api.create, object_schema_egg=egg)
time.sleep(0.3)
assert hubspot.crm.schemas.core_api.get_by_id(THINGS).name == "python_things"

# Properties.
properties = hubspot.crm.properties.core_api
group = properties.get_by_name(SUBSCRIPTIONS, "subscription_name").group_name
made = PropertyCreate(name="made_by_python", label="Made", type="number", field_type="number", group_name=group)
assert properties.create(SUBSCRIPTIONS, property_create=made).name == "made_by_python"
time.sleep(0.3)
names = {entry.name: entry for entry in properties.get_all(SUBSCRIPTIONS).results}
assert names["salesforce_id"].has_unique_value and "made_by_python" in names
properties.archive(SUBSCRIPTIONS, "made_by_python")

# Batches with errors among them.
inputs = BatchInputSimplePublicObjectBatchInputForCreate(
    inputs=[{"properties": {"title": f"Thing {n}", "key": f"k{n}"}, "associations": []} for n in range(3)]
)
created = objects.batch_api.create(THINGS, inputs)
assert created.status == "COMPLETE" and len(created.results) == 3, created
upserts = BatchInputSimplePublicObjectBatchInputUpsert(
    inputs=[
        {"id": "k1", "idProperty": "key", "properties": {"title": "Changed"}},
        {"id": "k9", "idProperty": "key", "properties": {"title": "New"}},
    ]
)
upserted = objects.batch_api.upsert(THINGS, upserts)
assert sorted(result.new for result in upserted.results) == [False, True], upserted
reads = BatchReadInputSimplePublicObjectId(
    id_property="key", properties=["title", "key"], properties_with_history=[], inputs=[{"id": "k1"}, {"id": "k2"}, {"id": "nowhere"}]
)
read = objects.batch_api.read(THINGS, reads)
assert {result.properties["title"] for result in read.results} == {"Changed", "Thing 2"}, read
assert read.num_errors == 1 and read.errors[0].category == "OBJECT_NOT_FOUND", read
updates = BatchInputSimplePublicObjectBatchInput(
    inputs=[{"id": created.results[0].id, "properties": {"title": "Zoë 🚀"}}]
)
assert objects.batch_api.update(THINGS, updates).results[0].properties["title"] == "Zoë 🚀"
broken = BatchInputSimplePublicObjectBatchInputUpsert(
    inputs=[{"id": "s1", "idProperty": "salesforce_id", "properties": {"subscription_name": "x", "status": "exploded"}}]
)
expect(ObjectsError, 400, "INVALID_OPTION", objects.batch_api.upsert, SUBSCRIPTIONS, broken)

# Single records.
single = objects.basic_api.create(
    THINGS, SimplePublicObjectInputForCreate(properties={"title": "One", "key": "one"}, associations=[])
)
changed = objects.basic_api.update(THINGS, single.id, SimplePublicObjectInput(properties={"title": "Two"}))
assert changed.properties["title"] == "Two"
assert objects.basic_api.get_by_id(THINGS, "one", id_property="key").id == single.id
expect(ObjectsError, 404, "", objects.basic_api.get_by_id, THINGS, "999999999")
assert len(objects.get_all(THINGS)) == 5

# Search.
request = PublicObjectSearchRequest(
    filter_groups=[{"filters": [{"propertyName": "key", "operator": "EQ", "value": "one"}]}],
    properties=["title"], limit=10, after="0", sorts=[], query=None,
)
for _ in range(50):
    found = objects.search_api.do_search(THINGS, public_object_search_request=request)
    if found.total:
        break
    # The search index is late, as the real one is.
    time.sleep(0.2)
assert [result.id for result in found.results] == [single.id], found

# Associations with labels.
v4 = hubspot.crm.associations.v4
labels = v4.schema.definitions_api.get_all(SUBSCRIPTIONS, "companies").results
named = next(label for label in labels if label.label)
company = objects.get_all("companies")[0].id
subscription = objects.basic_api.create(
    SUBSCRIPTIONS, SimplePublicObjectInputForCreate(properties={"subscription_name": "Python"}, associations=[])
).id
spec = AssociationSpec(association_category=named.category, association_type_id=named.type_id)
link = PublicAssociationMultiPost(_from=PublicObjectId(id=subscription), to=PublicObjectId(id=company), types=[spec])
linked = v4.batch_api.create(SUBSCRIPTIONS, "companies", BatchInputPublicAssociationMultiPost(inputs=[link]))
assert linked.status == "COMPLETE", linked
ask = BatchInputPublicFetchAssociationsBatchRequest(inputs=[PublicFetchAssociationsBatchRequest(id=subscription)])
pairs = v4.batch_api.get_page(SUBSCRIPTIONS, "companies", ask).results
types = pairs[0].to[0].association_types
assert str(pairs[0].to[0].to_object_id) == str(company)
assert {kind.label for kind in types} == {None, named.label}, types

# Archive.
ids = [{"id": result.id} for result in created.results]
objects.batch_api.archive(THINGS, BatchInputSimplePublicObjectId(inputs=ids))
assert len(objects.get_all(THINGS)) == 2
assert {entry.id for entry in objects.get_all(THINGS, archived=True)} == {entry["id"] for entry in ids}
print("hubspot-api-client: ok")
