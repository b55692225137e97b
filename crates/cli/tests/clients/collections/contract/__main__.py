"""Checks a server against the contract of signed collections, from outside.

    python -m contract [SECTION | SECTION/NUMBER]...

Environment: `SERVER` (its address), `ADMIN` (`NAME:SECRET` of who may do everything), `KEYS` (a JSON object, public
keys in PEM by the place they sign). `PEER=1` leaves out what the original is known to do otherwise.
"""

import json
import os
import sys

from . import harness
from . import s1_basics, s2_users, s3_objects, s3_permissions, s3_time, s3_lists, s3_batch, s3_extras  # noqa: F401
from . import s4_signer, s4_bytes, s5_reading, s6_seed  # noqa: F401

name, secret = os.environ["ADMIN"].split(":", 1)
world = harness.World(os.environ["SERVER"], name, secret, peer="PEER" in os.environ)
world.keys = json.loads(os.environ["KEYS"])
sys.exit(1 if harness.run(world, sys.argv[1:]) else 0)
