"""Named faults, put into a copy of the source one at a time: each must be noticed by the tests beside it."""

from tests.mutation import (
    faults_of_accounts,
    faults_of_costs_and_calibration,
    faults_of_decisions,
    faults_of_deliveries,
    faults_of_learning,
    faults_of_orders_and_records,
    faults_of_rows_to_targets,
    faults_of_storage,
    faults_of_stores_and_joins,
)
from tests.mutation.fault import Fault

ROOMS = (
    faults_of_accounts, faults_of_decisions, faults_of_learning, faults_of_storage, faults_of_rows_to_targets,
    faults_of_orders_and_records, faults_of_deliveries, faults_of_costs_and_calibration, faults_of_stores_and_joins,
)  # fmt: skip
FAULTS: list[Fault] = [fault for room in ROOMS for fault in room.FAULTS]
