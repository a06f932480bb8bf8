"""Replies of AWS to lists of multipart uploads, which MinIO does not give: as the S3 API reference has them."""

from datetime import timedelta

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.storage.artifacts.s3_http import Reply
from registry_grpc.storage.artifacts.s3_listing import objects_of, uploads_of, uploads_query

NONE = "0" * 16
UPLOADS = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Bucket>bucket</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>
  <NextKeyMarker>blobs/a1/a1b2+c</NextKeyMarker><NextUploadIdMarker>YW55IGlkZW=_.-x</NextUploadIdMarker>
  <EncodingType>url</EncodingType><MaxUploads>100</MaxUploads><IsTruncated>true</IsTruncated>
  <Upload><Key>blobs/a1/a1b2</Key><UploadId>XMgbGlrZSBlbHZpbmcncyBub3Q</UploadId>
    <Initiator><ID>arn:aws:iam::111122223333:user/user1</ID></Initiator><StorageClass>STANDARD</StorageClass>
    <Initiated>2026-01-01T20:48:33.000Z</Initiated></Upload>
  <Upload><Key>blobs/Some+File.txt</Key><UploadId>x</UploadId><Initiated>2026-01-01T20:48:33.000Z</Initiated></Upload>
</ListMultipartUploadsResult>"""
HEADERS = {"Date": "Thu, 01 Jan 2026 21:48:33 GMT"}


def test_an_upload_is_told_with_what_drops_it_and_its_age_by_the_clock_of_the_store():
    listing = uploads_of(Reply(200, HEADERS, UPLOADS), "blobs/", NONE)
    (found,) = listing.found
    assert (found.key, found.store_upload) == ("a1/a1b2", f"{NONE}.XMgbGlrZSBlbHZpbmcncyBub3Q")
    assert found.age == timedelta(hours=1)


def test_the_next_question_goes_on_behind_both_markers():
    listing = uploads_of(Reply(200, HEADERS, UPLOADS), "blobs/", NONE)
    query = uploads_query("blobs/", listing.after, 1000)
    assert (query["key-marker"], query["upload-id-marker"]) == ("blobs/a1/a1b2 c", "YW55IGlkZW=_.-x")
    assert query["max-uploads"] == "100"
    whole = UPLOADS.replace(b">true<", b">false<")
    assert uploads_of(Reply(200, HEADERS, whole), "blobs/", NONE).after == ""


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_what_a_store_does_not_date_is_young(headers):
    (found,) = uploads_of(Reply(200, headers, UPLOADS), "blobs/", NONE).found
    assert found.age == timedelta(0)


@pytest.mark.parametrize("body", [b"", b"<html>", b"<!DOCTYPE x><a/>"])
def test_a_reply_that_is_not_s3_is_no_empty_store(body):
    for read in (lambda reply: uploads_of(reply, "", NONE), lambda reply: objects_of(reply, "")):
        with pytest.raises(RegistryError) as caught:
            read(Reply(200, HEADERS, body))
        assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
