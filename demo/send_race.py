"""
Send a simulated race by UDP, as the cars of a real one would.

    python demo/send_race.py                          # 20 cars at Barber, at their own pace
    python demo/send_race.py --track sebring --cars 30 --speed 10 --seconds 600
    python demo/send_race.py --speed max --csv        # one minute, as fast as it goes

It needs the pitwall package and no server to be there: UDP does not ask.
"""

from __future__ import annotations

import argparse
import math
import socket
import sys
import time
from collections.abc import Callable, Sequence

from pitwall.sim import Race, RaceConfig, SimError, encode_csv, encode_point
from pitwall.sim.points import Point

_TURN_S = 0.02  # how often points that have become due are sent
_MAX_SPEED_S = 60.0  # of race, where speed has no limit and none was given


def send(
    race: Race,
    transmit: Callable[[bytes], object],
    encode: Callable[[Point], bytes] = encode_point,
    speed: float = 1.0,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """
    Send a race from lights out, one datagram per point.

    Args:
        race: what to send.
        transmit: sends one datagram.
        encode: makes a datagram of a point.
        speed: seconds of race per second; infinite sends without a pause.
        seconds: of race, after which it ends; it ends with the race in any case.
        clock: monotonic seconds.
        sleep: waits for so many seconds.

    Returns:
        How many points were sent.
    """
    end_s = min(seconds, race.duration_s or math.inf)
    begun = clock()
    sent, reached_s = 0, 0.0
    try:
        while reached_s < end_s:
            if math.isinf(speed):
                due_s = reached_s + 1.0
            else:
                sleep(_TURN_S)
                due_s = (clock() - begun) * speed
            due_s = min(due_s, end_s)
            # A second at a time, for a slow machine at a high speed may have got far behind.
            while reached_s < due_s:
                until_s = min(due_s, reached_s + 1.0)
                for point in race.points(reached_s, until_s):
                    transmit(encode(point))
                    sent += 1
                reached_s = until_s
    except KeyboardInterrupt:
        print("stopped")
    return sent


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and send."""
    options = _parser().parse_args(arguments)
    speed = math.inf if options.speed == "max" else options.speed
    seconds = options.seconds or (_MAX_SPEED_S if math.isinf(speed) else math.inf)
    try:
        config = RaceConfig(
            track=options.track,
            cars=options.cars,
            seed=options.seed,
            laps=options.laps,
            start=float(math.floor(time.time())),
            rate_hz=options.rate,
            gps=options.gps,
        )
        race = Race(config)
        family, _, _, _, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_DGRAM)[0]
    except (SimError, socket.gaierror) as error:
        print(f"send_race: {error}", file=sys.stderr)
        return 2
    pace = "as fast as it goes" if math.isinf(speed) else f"{speed:g} times its own pace"
    print(f"{options.cars} cars at {race.track.name}, seed {options.seed}, to {options.host}:{options.port}, {pace}")
    with socket.socket(family, socket.SOCK_DGRAM) as cars:
        begun = time.monotonic()
        sent = send(
            race,
            transmit=lambda datagram: cars.sendto(datagram, address),
            encode=encode_csv if options.csv else encode_point,
            speed=speed,
            seconds=seconds,
        )
        took_s = max(time.monotonic() - begun, 1e-9)
    print(f"{sent} points sent in {took_s:.1f} s, {sent / took_s:.0f} a second")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Send a simulated race by UDP.")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=20777, help="its UDP port (default: %(default)s)")
    parser.add_argument("--track", default="barber", help="one of PitWall's tracks (default: %(default)s)")
    parser.add_argument("--cars", type=int, default=20, help="cars in the field (default: %(default)s)")
    parser.add_argument("--laps", type=int, help="laps of the race (default: no end)")
    parser.add_argument("--seed", type=int, default=1, help="the same one gives the same race (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=22.0, help="points a second and car (default: %(default)s)")
    parser.add_argument("--gps", action="store_true", help="send positions too")
    parser.add_argument("--csv", action="store_true", help="send CSV lines in place of JSON objects")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, help="seconds of race per second, or max (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, help="seconds of race to send (default: until stopped; 60 at --speed max)"
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port, wanted 1 to 65535")
    return port


def _speed(text: str) -> float | str:
    if text == "max":
        return text
    speed = float(text)
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no speed, wanted a number over 0, or max")
    return speed


if __name__ == "__main__":
    sys.exit(main())
