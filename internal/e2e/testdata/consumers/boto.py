"""Asks AWS who it is, again and again, with one client and the credentials that its environment names.

    boto.py SECONDS

It says how many calls there were and how many failed, and ends with status 1 if one did.
"""

import sys
import time

import boto3
from botocore.config import Config


def main():
    # Without retries, which would hide a failure.
    client = boto3.Session().client("sts", config=Config(retries={"total_max_attempts": 1}))
    calls = failures = 0
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        calls += 1
        try:
            client.get_caller_identity()
        except Exception as error:  # whatever it is, the call did not work
            failures += 1
            print(error, file=sys.stderr)
        time.sleep(0.3)
    print(f"{calls} calls, {failures} failures")
    return 1 if failures else 0


sys.exit(main())
