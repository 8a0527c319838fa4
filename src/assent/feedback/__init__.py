"""Who judges what, how far people agree, and simulated people for whom the truth is known."""

from assent.feedback.agreement import (
    Agreement,
    agreement_by_person,
    mark_agreements,
    pairwise_agreement,
    rankings_by_criterion,
    side_bias,
)
from assent.feedback.alpha import Alpha, krippendorff_alpha, mark_alphas, ranking_alpha
from assent.feedback.calibration import calibrate_noise, expected_agreement
from assent.feedback.campaign import TaskSpec, judge_tasks, people_of_task
from assent.feedback.intervals import Interval, bootstrap_mean, bootstrap_statistic, wilson
from assent.feedback.labels import LOSS_OF_LABEL
from assent.feedback.reliability import reliability_weights
from assent.feedback.simulated import SimulatedPerson, Temper, make_crowd, with_noise

__all__ = [
    "LOSS_OF_LABEL",
    "Agreement",
    "Alpha",
    "Interval",
    "SimulatedPerson",
    "TaskSpec",
    "Temper",
    "agreement_by_person",
    "bootstrap_mean",
    "bootstrap_statistic",
    "calibrate_noise",
    "expected_agreement",
    "judge_tasks",
    "krippendorff_alpha",
    "make_crowd",
    "mark_agreements",
    "mark_alphas",
    "pairwise_agreement",
    "people_of_task",
    "ranking_alpha",
    "rankings_by_criterion",
    "reliability_weights",
    "side_bias",
    "wilson",
    "with_noise",
]
