# syntax=docker/dockerfile:1
# One image for the API and the worker (target `runtime`, the default), and one that adds the development
# services of our own (target `devstack`).

FROM python:3.13.5-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/nimmit
COPY requirements.txt .
# Every package must have the hash it was pinned with; the platform needs no compiler.
RUN /opt/nimmit/bin/pip install --require-hashes --only-binary :all: -r requirements.txt

FROM python:3.13.5-slim-bookworm AS base
ENV PATH=/opt/nimmit/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin nimmit \
 && install --directory --owner nimmit --group nimmit /data
COPY --from=packages /opt/nimmit /opt/nimmit
WORKDIR /srv/nimmit
COPY app app
USER 10001
STOPSIGNAL SIGTERM

FROM base AS devstack
COPY devstack devstack

FROM base AS runtime
COPY workflows workflows
COPY activities activities
COPY api api
COPY worker worker
# The workflow sandbox loads the workflows' modules anew for every run: without bytecode each one is compiled again.
# The process may not write, so it is made here; its hash, not a time, says whether it fits.
USER root
RUN python -m compileall -q --invalidation-mode unchecked-hash app workflows activities api worker
USER 10001
EXPOSE 8000
CMD ["python", "-m", "api", "--host", "0.0.0.0", "--port", "8000"]
