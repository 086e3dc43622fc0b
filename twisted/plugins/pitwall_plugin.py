"""Tells twistd about PitWall."""

from twisted.application.service import ServiceMaker

pitwall = ServiceMaker("PitWall", "pitwall.service", "Race telemetry: UDP, HTTP and S3 in, a WebSocket out.", "pitwall")
