"""Is the new policy better, is the reward model fit to be optimised, and has it been optimised too far."""

from assent.evaluation.arm_saving import arm_savings
from assent.evaluation.best_of_n import best_of_k_mean, best_of_n_kl_bound
from assent.evaluation.criteria import mean_marks
from assent.evaluation.diversity import TextSigns, distinct_n, live_signs, mean_words, pass_at_k, repeated_ngram_share
from assent.evaluation.label_saving import LabelSaving, label_saving, labels_needed
from assent.evaluation.over_optimisation import (
    GaoFit,
    OptimisationPoint,
    OverOptimisation,
    fit_gao,
    summarise_over_optimisation,
)
from assent.evaluation.promotion import Verdict, decide
from assent.evaluation.reward_health import CalibrationBin, HealthReport, calibration_bins, check_reward_health
from assent.evaluation.sample_health import HeldOut, SampleHealth, area_under_curve, check_sample_health
from assent.evaluation.win_rate import PairVote, PeopleWinRate, gold_win_rate, pair_vote, people_win_rate

__all__ = [
    "CalibrationBin",
    "GaoFit",
    "HealthReport",
    "HeldOut",
    "LabelSaving",
    "OptimisationPoint",
    "OverOptimisation",
    "PairVote",
    "PeopleWinRate",
    "SampleHealth",
    "TextSigns",
    "Verdict",
    "area_under_curve",
    "arm_savings",
    "best_of_k_mean",
    "best_of_n_kl_bound",
    "calibration_bins",
    "check_reward_health",
    "check_sample_health",
    "decide",
    "distinct_n",
    "fit_gao",
    "gold_win_rate",
    "label_saving",
    "labels_needed",
    "live_signs",
    "mean_marks",
    "mean_words",
    "pair_vote",
    "pass_at_k",
    "people_win_rate",
    "repeated_ngram_share",
    "summarise_over_optimisation",
]
