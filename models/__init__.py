"""What is stored: the tables, their constraints, and the meaning of each column."""

from models.account import Account
from models.batch import Batch, RefusedLine
from models.budget import Change, OwnerCap, OwnerMonth
from models.call import Call
from models.catalog import Catalog, CatalogItem, CatalogLive, CatalogPlan, CatalogRejection, CatalogRender
from models.credit_entry import CreditEntry, WalletReading
from models.generation import Generation
from models.hook import Hook, HookDelivery
from models.job import Job
from models.latency import Latency
from models.message import DroppedMessage, RefusedMessage
from models.metadata import Table
from models.model_pause import ModelPause
from models.model_price import ModelPrice
from models.node import Node
from models.prompt_failure import PromptFailure
from models.provider_health import FailedAttempt, ProviderHealth
from models.reference import Reference, Upload
from models.result import Result
from models.schedule import Schedule, ScheduleRun
from models.seal import LedgerRollup, Seal
from models.step import Step
from models.upkeep import GenerationReading, Upkeep
from worker.core.rules.batch_state import BatchState

__all__ = [
    "Account",
    "Batch",
    "BatchState",
    "Call",
    "Catalog",
    "CatalogItem",
    "CatalogLive",
    "CatalogPlan",
    "CatalogRejection",
    "CatalogRender",
    "Change",
    "CreditEntry",
    "DroppedMessage",
    "FailedAttempt",
    "Generation",
    "GenerationReading",
    "Hook",
    "HookDelivery",
    "Job",
    "Latency",
    "LedgerRollup",
    "ModelPause",
    "ModelPrice",
    "Node",
    "OwnerCap",
    "OwnerMonth",
    "PromptFailure",
    "ProviderHealth",
    "Reference",
    "RefusedLine",
    "RefusedMessage",
    "Result",
    "Schedule",
    "ScheduleRun",
    "Seal",
    "Step",
    "Table",
    "Upkeep",
    "Upload",
    "WalletReading",
]
