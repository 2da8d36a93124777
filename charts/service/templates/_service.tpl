{{/*
Every object of one HTTP service that keeps its data in PostgreSQL: a Deployment whose init container migrates the
schema, Service, ServiceAccount, disruption budget and network policy.

The template takes a dict; only the parent chart knows the members after `name`:
- root: the parent's context.
- service: the service's values.
- name: the service's name.
- database {secret, keys}: the Secret with the login that migrates and owns the tables, and the names of its keys.
- serving {secret, keys}: the Secret with the login of the role that serves, or empty if `database` is for both.
- captureRole {secret, key}: the Secret with the name of the role that may read the outbox, or empty.
- databasePods: labels of its PostgreSQL's pods, or empty for a server outside the release.
- kafka {bootstrap, group, topicPrefix}: where its reactions read events, or empty for a service without reactions.
- callers: peers that may call it, as in a NetworkPolicy.
- callerSecret: name of the Secret with a token for each caller, or empty: callers are not checked.
*/}}
{{- define "service.objects" -}}
{{- with .service.pool }}
{{- if gt (int .min) (int .max) }}
{{- fail (printf "services.%s.pool: min is %d, but max is %d: min must not be above max" $.name (int .min) (int .max)) }}
{{- end }}
{{- end -}}
{{ include "service.deployment" . }}
---
{{ include "service.clusterService" . }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "service.ownMetadata" . | nindent 2 }}
automountServiceAccountToken: false
---
{{ include "service.disruptionBudget" (dict "root" .root "name" .name "fullname" .name "component" "service") }}
{{- if .root.Values.networkPolicy.enabled }}
---
{{ include "service.networkPolicy" . }}
{{- end }}
{{- end -}}

{{- define "service.ownMetadata" -}}
{{- include "service.metadata" (dict "root" .root "name" .name "fullname" .name "component" "service") }}
{{- end -}}

{{- define "service.ownSelector" -}}
{{- include "service.selectorLabels" (dict "root" .root "name" .name "component" "service") }}
{{- end -}}

{{- define "service.deployment" -}}
{{- $labels := ternary (dict "kompensa.dev/reads-events" "true") dict (not (empty .kafka)) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service.ownMetadata" . | nindent 2 }}
spec:
  replicas: {{ .service.replicas }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    # The new pod serves before the old one goes, so requests in flight see no gap.
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "service.ownSelector" . | nindent 6 }}
  template:
    metadata:
      {{- include "service.podMetadata" (dict "root" .root "name" .name "component" "service" "pod" .service "labels" $labels) | nindent 6 }}
    spec:
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext:
        {{- include "service.podSecurity" (dict "user" .root.Values.runAsUser) | nindent 8 }}
      {{- include "service.scheduling" (dict "pod" .service "root" .root) | nindent 6 }}
      initContainers:
      - name: migrate
        {{- include "service.container" (merge (dict "login" .database "servingRole" .serving) .) | nindent 8 }}
        args: [migrate, --wait, "120"]
      containers:
      - name: {{ .name }}
        {{- include "service.container" (merge (dict "login" (.serving | default .database) "serves" true) .) | nindent 8 }}
        args: [serve]
        ports:
        - {name: http, containerPort: 8080, protocol: TCP}
        {{- include "service.httpProbes" (dict "port" "http" "live" "/healthz" "ready" "/readyz") | nindent 8 }}
        lifecycle:
          preStop:
            # Proxies first remove this pod from their lists. Then comes SIGTERM, and requests in flight are finished.
            sleep: {seconds: 3}
      volumes:
      - {{- include "service.tmpVolume" (dict) | nindent 8 }}
      {{- with .callerSecret }}
      # All of its keys, so that a second token of a caller is a new file, without a restart.
      - name: callers
        secret: {secretName: {{ . | quote }}, defaultMode: 0440}
      {{- end }}
      {{- with .service.extraVolumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end -}}

{{/*
The part that the migrating and the serving container share. Next to the parts of service.objects, the dict has:
- login: the Secret and keys of the login that this container uses.
- servingRole: the Secret and keys of the role that gets rights, or empty.
- serves: true for the serving container, which has the callers' tokens and sends spans.
*/}}
{{- define "service.container" -}}
image: {{ include "service.image" (dict "root" .root "image" .service.image) | quote }}
imagePullPolicy: {{ .service.image.pullPolicy }}
securityContext:
  {{- include "service.containerSecurity" . | nindent 2 }}
resources:
  {{- toYaml .service.resources | nindent 2 }}
env:
{{ include "service.databaseVariables" (merge (dict "variable" "DATABASE_URL") .login) }}
{{- with .servingRole }}
{{ include "service.secretVariable" (dict "variable" "SERVING_ROLE" "secret" .secret "key" .keys.username) }}
{{- end }}
{{- with .captureRole }}
{{ include "service.secretVariable" (merge (dict "variable" "CAPTURE_ROLE") .) }}
{{- end }}
{{- with .kafka }}
- {name: KOMPENSA_KAFKA, value: {{ .bootstrap | quote }}}
- {name: REACTIONS_GROUP, value: {{ .group | quote }}}
- {name: TOPIC_PREFIX, value: {{ .topicPrefix | quote }}}
{{- end }}
- {name: PORT, value: "8080"}
- {name: POOL_MIN, value: {{ .service.pool.min | quote }}}
- {name: POOL_MAX, value: {{ .service.pool.max | quote }}}
- {name: LOG_LEVEL, value: {{ .service.logLevel }}}
- {name: FAULTS_ENABLED, value: {{ .root.Values.faults.enabled | quote }}}
{{- if and .serves .callerSecret }}
- {name: CALLER_TOKENS_DIR, value: /etc/kompensa/callers}
{{- end }}
{{- if .serves }}
{{- with include "service.tracingVariable" .root }}
{{ . }}
{{- end }}
{{- end }}
{{- with .service.extraEnv }}
{{ toYaml . }}
{{- end }}
volumeMounts:
- {name: tmp, mountPath: /tmp}
{{- if and .serves .callerSecret }}
- {name: callers, mountPath: /etc/kompensa/callers, readOnly: true}
{{- end }}
{{- with .service.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "service.clusterService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "service.ownMetadata" . | nindent 2 }}
spec:
  type: {{ ternary "NodePort" "ClusterIP" (not (empty .service.nodePort)) }}
  {{- with include "service.ipFamilies" .root }}
  {{- . | nindent 2 }}
  {{- end }}
  selector:
    {{- include "service.ownSelector" . | nindent 4 }}
  ports:
  - name: http
    port: 8080
    targetPort: http
    protocol: TCP
    {{- with .service.nodePort }}
    nodePort: {{ . }}
    {{- end }}
{{- end -}}

{{- define "service.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service.ownMetadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service.ownSelector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
  - ports:
    - {protocol: TCP, port: http}
    from:
    {{- toYaml .callers | nindent 4 }}
  egress:
  {{- include "service.egressDns" .root | nindent 2 }}
  {{- include "service.egressTracing" .root | nindent 2 }}
  # Its own database and no other.
  {{- include "service.egressDatabase" (dict "root" .root "pods" .databasePods) | nindent 2 }}
  {{- if .kafka }}
  {{- include "service.egress" .root.Values.networkPolicy.kafka | nindent 2 }}
  {{- end }}
{{- end -}}
