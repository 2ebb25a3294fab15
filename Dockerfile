# One image for every process; compose.yaml names the command of each.
FROM python:3.12-slim-bookworm AS build
WORKDIR /srv/nexgent
COPY . .
RUN python -m nexgent.runtime.bootstrap --run-only && rm -rf node_modules .venv/node

FROM python:3.12-slim-bookworm
RUN useradd --system --create-home --home-dir /var/lib/nexgent nexgent
COPY --from=build /srv/nexgent /srv/nexgent
WORKDIR /srv/nexgent
ENV PATH=/srv/nexgent/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NEXGENT_ENV=production \
    NEXGENT_DATA_DIR=/var/lib/nexgent \
    HOST=0.0.0.0
USER nexgent
EXPOSE 8000
CMD ["python", "manage.py", "web"]
