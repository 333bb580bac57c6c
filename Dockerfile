# The worker. It needs a Kafka cluster, but no Java: `docker compose up` starts both.
# PYTHON is the base of both stages; to pin it: --build-arg PYTHON=python:3.12-slim@sha256:… of your registry.
ARG PYTHON=python:3.12-slim
FROM ${PYTHON} AS build
WORKDIR /src
RUN python -m venv /opt/tagstream
# Before the code, so that a change of the code installs no dependency anew.
COPY .locks/worker.txt .locks/worker.txt
RUN /opt/tagstream/bin/pip install --no-cache-dir --require-hashes -r .locks/worker.txt
# What builds the package, in an environment of its own: neither does the build ask an index, nor is it shipped.
COPY .locks/build.txt .locks/build.txt
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r .locks/build.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY schemas schemas
COPY model model
COPY streams streams
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels .
RUN /opt/tagstream/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM ${PYTHON}
RUN useradd --system --uid 10001 --home-dir /var/lib/tagstream --create-home tagstream
RUN install -d -o tagstream /var/lib/tagstream-objects
COPY --from=build /opt/tagstream /opt/tagstream
ENV PATH=/opt/tagstream/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TAGSTREAM_DATA_DIR=/var/lib/tagstream
USER tagstream
WORKDIR /var/lib/tagstream
EXPOSE 6066 6069 9646
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6066/healthz', timeout=3)"]
ENTRYPOINT ["tagstream"]
CMD ["worker"]
