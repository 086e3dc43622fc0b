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
RUN python3 -m venv tools \
    || { apt-get update \
        && apt-get install --yes --no-install-recommends python3-venv \
        && rm -rf /var/lib/apt/lists/* \
        && python3 -m venv --clear tools; }
# What is fetched are the files whose hashes are in the locks, and no others: wheels, so that none of them runs code
# here. The environment itself has no pip. Before the source, for this layer changes more seldom.
COPY requirements.lock requirements-build.lock ./
RUN tools/bin/pip install --require-hashes --only-binary :all: --requirement requirements-build.lock \
    && python3 -m venv --without-pip /opt/pitwall \
    && tools/bin/pip --python /opt/pitwall/bin/python install \
        --require-hashes --only-binary :all: --requirement requirements.lock
COPY . source
# The SBOM is of what is installed. The last line writes twisted/plugins/dropin.cache, for on a read-only root each
# start would complain that it cannot. Twisted rewrites a cache that is not younger than the plugins, and layers keep
# whole seconds: hence the pause.
RUN tools/bin/pip wheel --no-index --no-build-isolation --no-deps --wheel-dir wheels ./source \
    && tools/bin/pip --python /opt/pitwall/bin/python install --no-index --no-deps wheels/pitwall-*.whl \
    && tools/bin/pip --python /opt/pitwall/bin/python check \
    && tools/bin/cyclonedx-py environment --output-reproducible --output-file /opt/pitwall/sbom.cdx.json \
        /opt/pitwall/bin/python \
    && sleep 1 \
    && /opt/pitwall/bin/twistd --help > /dev/null

FROM ${BASE}
ARG BASE
ARG REVISION
LABEL org.opencontainers.image.title="PitWall" \
      org.opencontainers.image.description="Real-time race telemetry server: UDP, HTTP and S3 in, a WebSocket out" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
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
# -P, for /data is where it runs, and what lies there is not to be imported.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-P", "-m", "pitwall.ready"]
# No pidfile and no log file: nothing is written outside /data and /tmp, and the log is what `docker logs` shows.
CMD ["twistd", "-n", "--pidfile=", "pitwall"]
