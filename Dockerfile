# The operator alone, without a compiler, a package manager of Python or the tests' dependencies.
# Python 3.11 is what CI runs the tests with. The tag moves with security fixes; who releases pins
# it: docker build --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:…
ARG PYTHON_IMAGE=python:3.11-slim

# The clients of backends' protocols, for health checks that are more than a connection:
# docker build --build-arg EXTRAS=backends
ARG EXTRAS=

FROM ${PYTHON_IMAGE} AS build
ARG EXTRAS
WORKDIR /source
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY scripts scripts
COPY prism_operator prism_operator
COPY simulator simulator
RUN scripts/install-operator /opt/prism-operator ${EXTRAS}

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="prism-operator" \
      org.opencontainers.image.description="Kubernetes operator for the Prism data-access layer" \
      org.opencontainers.image.source="https://github.com/prism/prism-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/prism-operator /opt/prism-operator
# The root file system may be read-only.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# "nonroot": a number, so that runAsNonRoot can be checked.
USER 65532:65532
EXPOSE 8080 8081 9443
ENTRYPOINT ["/opt/prism-operator/bin/prism-operator", "run"]
