import subprocess
import sys

PROGRAM = """
import sys
import rotator.ledger
assert not {"sqlalchemy", "botocore", "psycopg"} & set(sys.modules), "rotator.ledger alone"
import rotator.ledger.dynamodb
assert "botocore" not in sys.modules, "what a table must be"
import rotator.ledger.dynamodb.ledger
assert not {"sqlalchemy", "boto3", "psycopg"} & set(sys.modules), "a ledger in DynamoDB"
"""


def test_each_ledger_imports_its_own_driver_alone() -> None:
    """Drivers are heavy: one is imported when its kind of ledger is opened, and no other with it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
