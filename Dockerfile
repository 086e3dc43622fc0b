# PitWall as an image: the wheel in a virtual environment at /opt/pitwall, run by a user who owns nothing.
#
#     docker build --tag pitwall:0.1.0 .
#     docker run -p 8081:8081 -p 20777:20777/udp -v /mnt/data:/data pitwall:0.1.0
#
# The base is any image with a python3 of 3.11 or later. Where it cannot make a virtual environment, as Debian
# without python3-venv, the build stage fetches what is missing by apt; the image itself never needs it.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
# pip takes these from the environment under the same names: other places to find packages than PyPI.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# hadolint ignore=DL3008
RUN python3 -m venv /opt/pitwall \
    || { apt-get update \
        && apt-get install --yes --no-install-recommends python3-venv \
        && rm -rf /var/lib/apt/lists/* \
        && python3 -m venv --clear /opt/pitwall; }
COPY . source
# The last line writes twisted/plugins/dropin.cache, for on a read-only root each start would complain that it cannot.
# Twisted rewrites a cache that is not younger than the plugins, and layers keep whole seconds: hence the pause.
RUN /opt/pitwall/bin/pip wheel --no-deps --wheel-dir wheels ./source \
    && /opt/pitwall/bin/pip install wheels/pitwall-*.whl \
    && sleep 1 \
    && /opt/pitwall/bin/twistd --help > /dev/null

FROM ${BASE}
LABEL org.opencontainers.image.title="PitWall" \
      org.opencontainers.image.description="Real-time race telemetry server: UDP, HTTP and S3 in, a WebSocket out"
COPY --from=build /opt/pitwall /opt/pitwall
RUN mkdir -p /data && chown 10001:10001 /data
# HOME, because a user who is only a number has none, and boto3 looks for ~/.aws there.
ENV PATH=/opt/pitwall/bin:$PATH \
    HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 8081/tcp 20777/udp
VOLUME /data
WORKDIR /data
USER 10001:10001
STOPSIGNAL SIGTERM
# Not urlopen: it would go through the proxy that many container hosts put into the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import http.client, os, sys; door = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8081), timeout=4); door.request('GET', '/api/ready'); sys.exit(door.getresponse().status != 200)"]
# No pidfile and no log file: nothing is written outside /data and /tmp, and the log is what `docker logs` shows.
CMD ["twistd", "-n", "--pidfile=", "pitwall"]
