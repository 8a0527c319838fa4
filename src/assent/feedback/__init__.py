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
from assent.feedback.annotators import Annotators, fit_annotators
from assent.feedback.answers import Answers, answers_of
from assent.feedback.bias import first_wins, longer_wins, self_consistency
from assent.feedback.calibration import calibrate_noise, expected_agreement
from assent.feedback.campaign import TaskSpec, judge_tasks, people_of_task
from assent.feedback.dawid_skene import Verdicts, dawid_skene, flag_verdicts, mark_verdicts
from assent.feedback.groups import Groups, choose_groups, fit_groups
from assent.feedback.influence import capped_weights
from assent.feedback.intervals import Interval, bootstrap_mean, bootstrap_statistic, wilson
from assent.feedback.labels import LOSS_OF_LABEL
from assent.feedback.people import CrowdFacts, Estimate, PersonFacts, crowd_facts
from assent.feedback.reliability import bradley_terry_weights, reliability_weights
from assent.feedback.simulated import SimulatedPerson, Temper, make_crowd, with_noise

__all__ = [
    "LOSS_OF_LABEL",
    "Agreement",
    "Alpha",
    "Annotators",
    "Answers",
    "CrowdFacts",
    "Estimate",
    "Groups",
    "Interval",
    "PersonFacts",
    "SimulatedPerson",
    "TaskSpec",
    "Temper",
    "Verdicts",
    "agreement_by_person",
    "answers_of",
    "bootstrap_mean",
    "bootstrap_statistic",
    "bradley_terry_weights",
    "calibrate_noise",
    "capped_weights",
    "choose_groups",
    "crowd_facts",
    "dawid_skene",
    "expected_agreement",
    "first_wins",
    "fit_annotators",
    "fit_groups",
    "flag_verdicts",
    "judge_tasks",
    "krippendorff_alpha",
    "longer_wins",
    "make_crowd",
    "mark_agreements",
    "mark_alphas",
    "mark_verdicts",
    "pairwise_agreement",
    "people_of_task",
    "ranking_alpha",
    "rankings_by_criterion",
    "reliability_weights",
    "self_consistency",
    "side_bias",
    "wilson",
    "with_noise",
]
