"""Inputs of every form that are right, made here."""

from __future__ import annotations

import gzip
import json
from typing import Any, Final

from pitwall.model.channels import CSV_FIELDS
from pitwall.wire.longform import COLUMNS


def encoded(content: Any) -> bytes:
    """JSON as most senders write it."""
    return json.dumps(content, separators=(",", ":")).encode()


POINT: Final[dict[str, Any]] = {
    "meta_time": "2025-09-06T18:41:40.000Z",
    "track": "barber",
    "chassis": "GR86-004-78",
    "lap": 3,
    "lapdist_m": 141.5,
    "speed_kmh": 101.5,
    "accx_can": -0.3,
    "accy_can": 1.1,
    "Steering_Angle": -12.5,
    "pbrake_f": 0,
    "rpm": 6120,
    "raw_source": "logger 7",
}
VENDOR: Final = {**POINT, "brake_temp_fl": 412.5, "seq": 7, "note": "ütf-8", "ok": True, "none": None, "gear": 3}
ALIASED: Final = {
    "circuit": "sebring",
    "vehicle": "GR86-002-2",
    "speed": "98.5",
    "nmot": 5000,
    "time_utc": "2025-09-06 18:41:40",
}
CLOCKED: Final = {
    "track": "cota",
    "chassis": "b",
    "timestamp": "2025-09-06T18:41:39.968Z",
    "VBOX_Lat_Min": 33.5,
    "aps": 100,
}
POINTS: Final = tuple(map(encoded, (POINT, VENDOR, ALIASED, CLOCKED, {"track": "a", "chassis": "b"})))

CSV_LINES: Final = (
    ",".join(str(POINT[name]) for name in CSV_FIELDS).encode(),
    b",barber,GR86-004-78,,,141.25",
    b'"2025-09-06T18:41:40Z","barber","GR86, 4",3,1e2,141.25,.5,,,,',
    b"2025-09-06T18:41:40.5Z,barber,b,1,2,3\n,barber,b,1,3,4\r\n",
)

_ROW: Final[dict[str, Any]] = {
    "expire_at": "",
    "lap": 4,
    "meta_event": "I_R06_2025-09-07",
    "meta_session": "R1",
    "meta_source": "kafka:gr-raw",
    "meta_time": "2025-09-06T18:41:40.775Z",
    "original_vehicle_id": "GR86-004-78",
    "outing": 0,
    "telemetry_name": "speed",
    "telemetry_value": 141.2,
    "timestamp": "2025-09-06T18:40:41.926Z",
    "vehicle_id": "GR86-004-78",
    "vehicle_number": 78,
}
_BUNDLE: Final = {
    **{name: _ROW[name] for name in ("lap", "meta_event", "meta_time", "timestamp", "vehicle_id")},
    "value": [{"name": "speed", "value": 99.5}, {"name": "nmot", "value": 4000}, {"name": "accx_can", "value": -0.5}],
}
LONG_ROWS: Final = (
    encoded(_ROW),
    encoded(_BUNDLE),
    encoded([_ROW, {**_ROW, "telemetry_name": "gear", "telemetry_value": 3}]),
)


def long_csv(rows: int = 6) -> bytes:
    """Rows of the long form under their header, two instants of two cars."""
    lines = [",".join(COLUMNS)]
    for n in range(rows):
        name, value = (("speed", 140 + n), ("nmot", 6000), ("pbrake_f", 0.5))[n % 3]
        row = {
            **_ROW,
            "telemetry_name": name,
            "telemetry_value": value,
            "timestamp": f"2025-09-06T18:40:4{n // 3}.926Z",
        }
        lines.append(",".join(str(row[column]) for column in COLUMNS))
    return "\n".join([*lines, ""]).encode()


LONG_TEXTS: Final = (
    long_csv(),
    long_csv().partition(b"\n")[2],
    b"meta_time,telemetry_name,telemetry_value\n2025-09-06T18:41:40.775Z,speed,141.2\n2025-09-06T18:41:40.775Z,nmot,6000\n",
)
WIDE_TEXTS: Final = (
    b"track,chassis,meta_time,speed_kmh,brake_temp,Laptrigger_lapdist_dls\n"
    b"barber,GR86-004-78,2025-09-06 18:41:40.5,141.2,300,12.5\nbarber,GR86-004-78,2025-09-06 18:41:40.6,+142.,,13\n",
    b'\xef\xbb\xbfvehicle,circuit,speed,"odd, name"\r\nb,cota,98.5,"x ""y"""\r\n',
    b"\n".join(CSV_LINES[:2]) + b"\n",
)
TRIGGERS: Final = (
    b"expire_at,lap,meta_event,meta_session,meta_source,meta_time,original_vehicle_id,outing,timestamp,"
    b"vehicle_id,vehicle_number,value\n"
    b",2,I_R06_2025-09-07,R1,kafka:gr-raw,2025-09-06T18:41:40.775Z,GR86-004-78,0,2025-09-06T18:40:41.926Z,GR86-004-78,78,98123\n"
    b",3,I_R06_2025-09-07,R1,kafka:gr-raw,2025-09-06T18:43:20.775Z,GR86-004-78,0,2025-09-06T18:42:21.926Z,GR86-004-78,78,98456\n",
)
TEXTS: Final = (*LONG_TEXTS[:2], *WIDE_TEXTS, *TRIGGERS)
LINES: Final = (b"\n".join(POINTS), b"\n".join((*POINTS[:2], *LONG_ROWS[:2])) + b"\n")
ARRAYS: Final = (
    b"[" + b",".join(POINTS) + b"]",
    b"[ " + b" ,\n".join(POINTS[:3]) + b" ]",
    LONG_ROWS[2],
    encoded([POINT, _ROW]),
)
BODIES: Final = (*POINTS, *ARRAYS, *LONG_ROWS[:2])


def packed(text: bytes) -> bytes:
    """As gzip, always the same."""
    return gzip.compress(text, mtime=0)


TIMING: Final = (
    b"\xef\xbb\xbfNUMBER; DRIVER_NUMBER; LAP_NUMBER; LAP_TIME; CROSSING_FINISH_LINE_IN_PIT; ELAPSED; HOUR;"
    b"S1_SECONDS;S2_SECONDS;S3_SECONDS;FLAG_AT_FL;\r\n"
    b"13;1;1;1:54.168;;1:54.168;13:42:35.322;40.5;33.668;40.0;GF;\r\n13;1;2;1:39.500;B;3:33.668;13:44:14.822;30.5;33.0;36.0;FCY;\r\n",
)
TRACK_FILES: Final = (
    encoded(
        {
            "barber": {
                "total_m": 3674.7,
                "sectors": [
                    {"name": "S1", "start_m": 0, "end_m": 1029.0},
                    {"name": "S2", "start_m": 1029.0, "end_m": 2500},
                    {"name": "S3", "start_m": 2500, "end_m": 3674.7},
                ],
                "aliases": ["Barber Motorsports Park"],
                "finish_line": [33.53267, -86.61961],
            }
        }
    ),
)
DEMOS: Final = (encoded([POINT, VENDOR]), encoded({"telemetry": [ALIASED, CLOCKED]}))
