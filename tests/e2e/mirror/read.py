"""Prints what botocore and boto3 make of the files of each folder named, and of their mirrors."""

import json
import os
import sys

import boto3
import botocore.exceptions
import botocore.session


def clients(profile):
    session = boto3.Session(profile_name=profile)
    seen = {"region": session.region_name}
    for service in ("sts", "s3"):
        client = session.client(service, region_name=session.region_name or "us-east-1")
        config = client.meta.config
        seen[service] = [client.meta.endpoint_url, config.retries, str(config.s3)]
    return seen


def read(folder, which, full):
    os.environ["AWS_CONFIG_FILE"] = os.path.join(folder, which, "config")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.path.join(folder, which, "credentials")
    try:
        config = botocore.session.Session().full_config
    except botocore.exceptions.ConfigParseError as error:
        return {"error": str(error)}
    profiles = config["profiles"]
    seen = {"profiles": profiles, "keys": {}, "clients": {}}
    seen["rest"] = {name: config[name] for name in ("sso_sessions", "services")}
    if which == "mirror":
        for name in profiles:
            if "credential_process" in profiles[name]:
                keys = botocore.session.Session(profile=name).get_credentials()
                seen["keys"][name] = keys.get_frozen_credentials().access_key
    if full:
        names = ("dev", "role", "legacy", "my dev", "keys")
        seen["clients"] = {name: clients(name) for name in names}
    return seen


def main():
    print(json.dumps({
        folder: {which: read(folder, which, at == 0) for which in ("original", "mirror")}
        for at, folder in enumerate(sys.argv[1:])
    }))


main()
