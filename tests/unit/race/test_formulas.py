"""The formulas behind insights: levels, hysteresis, and what they say."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.formulas import FIGHT_S, FORMULAS, SEVERITIES, TYPES, Dwell, Formula, decide, rank
from pitwall.race.wording import Values

_SEVERITY = st.sampled_from([None, *SEVERITIES])


def values_of(formula: Formula, **known: Any) -> Values:
    """Inputs of a formula, of which only these are known."""
    return {name: known.get(name) for name in formula.units}


class LadderTests(SynchronousTestCase):
    """A severity is raised at one level and stays to a weaker one."""

    def judge(self, name: str, standing: str | None = None, **known: Any) -> str | None:
        """The severity by one formula."""
        return FORMULAS[name].judge(values_of(FORMULAS[name], **known), standing)

    def test_wear(self) -> None:
        """Pace that goes away has four severities, and each stays until the loss is clearly less."""
        for loss, severity in ((0.039, None), (0.04, "low"), (0.08, "medium"), (0.15, "high"), (0.30, "critical")):
            self.assertEqual(self.judge("tire_wear.loss", loss_per_lap_s=loss, loss_low=0.001), severity)
        for loss, standing, severity in (
            (0.02, "low", "low"),
            (0.019, "low", None),
            (0.13, "high", "high"),
            (0.11, "high", "medium"),
            (0.27, "critical", "critical"),
        ):
            self.assertEqual(self.judge("tire_wear.loss", standing, loss_per_lap_s=loss, loss_low=0.001), severity)

    def test_not_sure(self) -> None:
        """A loss whose interval reaches below zero is not said, but one that was said is not taken back at once."""
        self.assertIsNone(self.judge("tire_wear.loss", loss_per_lap_s=0.2, loss_low=-0.01))
        self.assertIsNone(self.judge("tire_wear.loss", loss_per_lap_s=0.2, loss_low=None))
        self.assertEqual(self.judge("tire_wear.loss", "high", loss_per_lap_s=0.2, loss_low=-0.01), "high")
        self.assertIsNone(self.judge("tire_wear.loss", "high", loss_per_lap_s=0.2, loss_low=-0.06))

    def test_stress(self) -> None:
        """Tires that are worked a quarter harder than the field's median are said."""
        self.assertIsNone(self.judge("tire_wear.stress", stress_index=114.0))
        self.assertEqual(self.judge("tire_wear.stress", stress_index=126.0), "medium")
        self.assertEqual(self.judge("tire_wear.stress", "low", stress_index=111.0), "low")

    def test_stop(self) -> None:
        """Fewer laps are worse; a car that is not losing has nothing to stop for."""
        sure: dict[str, Any] = {"loss_per_lap_s": 0.1, "loss_low": 0.05}
        self.assertIsNone(self.judge("strategy.stop", laps_until_loss=5.1, **sure))
        self.assertEqual(self.judge("strategy.stop", laps_until_loss=5.0, **sure), "medium")
        self.assertEqual(self.judge("strategy.stop", laps_until_loss=2.0, **sure), "high")
        self.assertEqual(self.judge("strategy.stop", "high", laps_until_loss=2.9, **sure), "high")
        self.assertEqual(self.judge("strategy.stop", "medium", laps_until_loss=6.6, **sure), None)
        self.assertIsNone(self.judge("strategy.stop", laps_until_loss=2.0, loss_per_lap_s=0.0, loss_low=0.1))

    def test_consistency(self) -> None:
        """Uneven laps are said below 98.5, and until they are above 98.8."""
        self.assertEqual(self.judge("performance.consistency", consistency=98.5), "low")
        self.assertEqual(self.judge("performance.consistency", consistency=96.9), "medium")
        self.assertEqual(self.judge("performance.consistency", "low", consistency=98.75), "low")
        self.assertIsNone(self.judge("performance.consistency", "low", consistency=98.9))

    def test_slow(self) -> None:
        """A lap is slow by what it is over the slowest that was foretold."""
        for time_s, severity in ((98.8, None), (99.0, "low"), (100.0, "medium"), (103.0, "high")):
            self.assertEqual(self.judge("performance.slow", lap_time_s=time_s, forecast_high_s=98.6), severity)
        self.assertIsNone(self.judge("performance.slow", lap_time_s=None, forecast_high_s=98.6))
        self.assertIsNone(self.judge("performance.slow", lap_time_s=110.0, forecast_high_s=None))

    def test_best(self) -> None:
        """The fastest lap is one car's, and is spoken of from the third lap on."""
        self.assertEqual(self.judge("performance.best", best_lap_s=97.0, field_best_s=97.0, lap=3), "low")
        self.assertIsNone(self.judge("performance.best", best_lap_s=97.0, field_best_s=97.0, lap=2))
        self.assertIsNone(self.judge("performance.best", best_lap_s=97.1, field_best_s=97.0, lap=9))

    def test_attack(self) -> None:
        """A fight goes on while the gap is small, though neither is faster; from both sides it is high."""
        name = "gap_analysis.attack"
        self.assertEqual(self.judge(name, overtakingOpportunity=True, gap_to_ahead_s=0.6), "medium")
        self.assertEqual(self.judge(name, overtakingOpportunity=True, underPressure=True), "high")
        self.assertIsNone(self.judge(name, overtakingOpportunity=False, underPressure=True, gap_to_ahead_s=0.6))
        self.assertEqual(self.judge(name, "medium", overtakingOpportunity=False, gap_to_ahead_s=FIGHT_S), "medium")
        self.assertIsNone(self.judge(name, "medium", overtakingOpportunity=False, gap_to_ahead_s=1.4))
        self.assertIsNone(self.judge(name, "medium", overtakingOpportunity=False, gap_to_ahead_s=None))

    def test_vital_channels(self) -> None:
        """Without speed and distance nothing is right; another channel is less bad."""
        self.assertEqual(self.judge("anomaly.stuck", channel="speed_kmh", stuck=True), "high")
        self.assertEqual(self.judge("anomaly.stuck", channel="rpm", stuck=True), "medium")
        self.assertIsNone(self.judge("anomaly.stuck", channel="rpm", stuck=False))

    def test_silent(self) -> None:
        """A car is silent after five seconds, badly so after thirty, until it is heard."""
        for silent_s, severity in ((4.9, None), (5.0, "medium"), (30.0, "high")):
            self.assertEqual(self.judge("anomaly.silent", silent_s=silent_s), severity)
        self.assertIsNone(self.judge("anomaly.silent", "high", silent_s=0.1))


class FormulaTests(SynchronousTestCase):
    """What all formulas have in common."""

    def test_types(self) -> None:
        """Every formula belongs to one of the five types, and every type has one."""
        self.assertEqual({formula.type for formula in FORMULAS.values()}, set(TYPES))

    def test_steps(self) -> None:
        """Levels get worse with the severity, and each stays to a weaker one than it is raised at."""
        for formula in FORMULAS.values():
            if formula.ladder is None:
                continue
            sign = -1 if formula.ladder.sinking else 1
            steps = formula.ladder.steps
            self.assertEqual([rank(step.severity) for step in steps], sorted(rank(s.severity) for s in steps)[::-1])
            raised = [sign * step.raised_at for step in steps]
            self.assertEqual(raised, sorted(raised, reverse=True), formula.name)
            for step in steps:
                self.assertLess(sign * step.stays_to, sign * step.raised_at, formula.name)

    def test_nothing_known(self) -> None:
        """Where nothing is known nothing is said, whatever stood; and it can be told all the same."""
        for formula in FORMULAS.values():
            for standing in (None, *SEVERITIES):
                values = values_of(formula)
                self.assertIsNone(formula.judge(values, standing), formula.name)
                self.assertTrue(formula.tell(values, standing))

    @given(st.sampled_from(sorted(FORMULAS)), st.data())
    def test_settles(self, name: str, data: st.DataObject) -> None:
        """What a formula says once it says again: the same inputs never go back and forth."""
        formula = FORMULAS[name]
        number = st.none() | st.floats(-1, 150) | st.booleans()
        values = {each: data.draw(number) for each in formula.units}
        first = formula.judge(values, data.draw(_SEVERITY))
        self.assertEqual(formula.judge(values, first), first)

    @given(_SEVERITY, st.floats(0, 10), st.integers(0, 3))
    def test_dwell(self, standing: str | None, lasted_s: float, lasted_laps: int) -> None:
        """A change counts only when it has lasted."""
        for wanted in (None, *SEVERITIES):

            def judge(values: Values, standing: str | None, wanted: str | None = wanted) -> str | None:
                return wanted

            formula = Formula("anomaly.x", {}, judge, lambda *_: "", None, Dwell(5.0), Dwell(2.0, 1))
            after = decide(formula, {}, standing, lasted_s, lasted_laps)
            worse = rank(wanted) > rank(standing)
            lasted = lasted_s >= 5 if worse else lasted_s >= 2 and lasted_laps >= 1
            self.assertEqual(after, wanted if lasted else standing)


class WordingTests(SynchronousTestCase):
    """Messages are for a person on the pit wall."""

    def told(self, name: str, severity: str | None, **known: Any) -> str:
        """What one formula says."""
        return FORMULAS[name].tell(values_of(FORMULAS[name], **known), severity)

    def test_wear(self) -> None:
        """The loss comes with its interval and the laps it rests on."""
        known = {"loss_per_lap_s": 0.093, "loss_low": 0.061, "loss_high": 0.125, "laps": 8}
        self.assertEqual(self.told("tire_wear.loss", "medium", **known), "losing 0.09 s a lap (0.06 to 0.12, 8 laps)")
        self.assertEqual(self.told("tire_wear.loss", None, **known), "the pace holds again, losing 0.09 s a lap")

    def test_gap(self) -> None:
        """A gap is told with the car it is to, whether it is known by name or not."""
        known: dict[str, Any] = {"gap_to_ahead_s": 0.618, "overtakingOpportunity": True, "ahead": "GR86-022-13"}
        told = "gap 0.62 s to GR86-022-13, closing"
        self.assertEqual(self.told("gap_analysis.attack", "medium", **known), told)
        self.assertEqual(self.told("gap_analysis.attack", "high", **known), f"{told}, and under pressure from behind")
        known = {"gap_to_behind_s": 0.4}
        self.assertEqual(
            self.told("gap_analysis.pressure", "medium", **known), "under pressure, gap 0.40 s to the car behind"
        )

    def test_slow(self) -> None:
        """A slow lap is told with what was foretold."""
        known = {"lap": 8, "lap_time_s": 99.5, "forecast_high_s": 98.6}
        self.assertEqual(
            self.told("performance.slow", "low", **known), "lap 8 took 99.500 s, foretold were 98.60 s at most"
        )
