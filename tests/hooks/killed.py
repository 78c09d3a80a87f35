"""A process that sends what is due, to be killed in mid-delivery: ``python -m tests.hooks.killed URL NOW``."""

import random
import sys
from datetime import datetime

from tests.hooks.desk import HERE
from worker.accounts.opening import new_id
from worker.core.db.session import Database
from worker.engine.services import Collectors
from worker.hooks import sending
from worker.hooks.sending import Sender

url, now = sys.argv[1], datetime.fromisoformat(sys.argv[2])
sending.send_due(
    Sender(
        database=Database(url),
        policy=HERE,
        url=str,
        clock=lambda: now,
        jitter=random.random,
        new_id=new_id,
        pool=Collectors(),
    )
)
