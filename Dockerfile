# The gateway's image. Nothing in it is of one platform: every locked dependency has wheels for
# amd64 and arm64, and the base image decides.
#
#   docker build -t tripgate .                    the explicit mode, as a user without rights
#   docker build -t tripgate-router --target router .
#
# BASE has a Python 3.11 or later, with venv, on Debian. A mirror of PyPI is named with
# --build-arg PIP_INDEX_URL=... --build-arg UV_DEFAULT_INDEX=...
ARG BASE=python:3.13.7-slim-trixie

FROM ${BASE} AS build
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
WORKDIR /opt/tripgate
# The dependencies first: a change of the code alone leaves this layer as it is.
COPY pyproject.toml requirements.lock ./
COPY deploy deploy
# What installed them goes again: the gateway installs nothing.
RUN mkdir addons && TRIPGATE_ONLY_INSTALL=1 deploy/up \
    && cd .venv && rm -rf bin/pip* bin/uv* \
      lib/python3.*/site-packages/pip lib/python3.*/site-packages/pip-* \
      lib/python3.*/site-packages/uv lib/python3.*/site-packages/uv-* \
      lib/python3.*/site-packages/setuptools* lib/python3.*/site-packages/pkg_resources \
      lib/python3.*/site-packages/_distutils_hack lib/python3.*/site-packages/distutils-*
COPY addons addons
RUN .venv/bin/python -m compileall -q addons

FROM ${BASE} AS runtime
# The base's own installer goes too.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/pip* \
      /usr/local/lib/python3.*/ensurepip \
    && groupadd --gid 10001 tripgate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/tripgate \
      --shell /usr/sbin/nologin tripgate \
    && install -d -m 0750 -o 10001 -g 10001 /var/lib/tripgate
COPY --from=build /opt/tripgate /opt/tripgate
ENV PATH=/opt/tripgate/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TRIPGATE_STATE=/var/lib/tripgate
ENTRYPOINT ["tripgate"]
CMD ["up"]

# The router mode runs as root with few capabilities, in the host's network.
FROM runtime AS router
RUN apt-get update \
    && grep -v '^#' /opt/tripgate/deploy/packages.debian \
    | DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/* \
    && chown 0:0 /var/lib/tripgate
VOLUME /var/lib/tripgate

FROM runtime AS gateway
USER 10001:10001
VOLUME /var/lib/tripgate
EXPOSE 8080 1080 8088
