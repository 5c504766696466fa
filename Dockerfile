# Two stages: the first compiles with the development packages, the second holds what runs and nothing else. It has no
# shell, runs as 65532, writes to /data alone, and works with a read-only root:
#   docker run --read-only --tmpfs /tmp -v tollgate:/data -v ./tollgate.yaml:/etc/tollgate/tollgate.yaml:ro -p 8787:8787 tollgate

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN npm run build && npm prune --omit=dev && mkdir /data

FROM gcr.io/distroless/nodejs24-debian13:nonroot
WORKDIR /app
ENV NODE_ENV=production
# The code belongs to root, so that the process cannot change it.
COPY package.json LICENSE ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/scripts/health-check.ts scripts/health-check.ts
COPY policies policies
COPY pricing pricing
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["/nodejs/bin/node", "scripts/health-check.ts"]
ENTRYPOINT ["/nodejs/bin/node", "--enable-source-maps", "--max-semi-space-size=64", "dist/main.js"]
CMD ["serve", "--config", "/etc/tollgate/tollgate.yaml", "--data", "/data", "--host", "0.0.0.0"]
