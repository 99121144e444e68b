# The environment as requirements.lock names it, MLflow's server, and Capflow: docs/containers.md says how they are used.
FROM python:3.11-slim AS environment

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

# Who owns a checkout that is mounted; git trusts it there, whatever owner the system shows.
ARG UID=1000
ARG GID=1000
RUN groupadd --non-unique --gid "$GID" capflow \
    && useradd --non-unique --uid "$UID" --gid "$GID" --create-home --shell /bin/bash capflow \
    && install --directory --owner capflow --group capflow /capflow /opt/capflow /artifacts \
    && git config --system --add safe.directory /capflow
USER capflow
WORKDIR /capflow

ENV CAPFLOW_VENV=/opt/capflow/venv \
    PATH=/opt/capflow/venv/bin:$PATH \
    DVC_NO_ANALYTICS=true \
    MLFLOW_DISABLE_TELEMETRY=true

# Gigabytes, and made anew only where the lock or the Makefile has changed.
COPY --chown=capflow:capflow Makefile requirements.lock ./
RUN PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 make packages


FROM environment AS mlflow

COPY --chown=capflow:capflow requirements-server.lock ./
RUN UV_NO_CACHE=1 make server-packages


FROM environment AS capflow

# A checkout that is mounted on /capflow hides these; the environment then has the checkout's package.
COPY --chown=capflow:capflow pyproject.toml README.md LICENSE ./
COPY --chown=capflow:capflow src src
RUN UV_NO_CACHE=1 make .venv
CMD ["capflow", "--help"]
