{{/*
Every object of one HTTP service that keeps its data in PostgreSQL: a Deployment whose init container migrates the
schema, Service, ServiceAccount, disruption budget and network policy.

dict: root (the parent's context), name, service (its values), and what only the parent knows:
  databaseSecret  Secret with the key `url`
  captureSecret   Secret with the key `username` of the role that may read the outbox, or empty
  databasePods    labels of its PostgreSQL's pods, or empty for a server outside the cluster
  callers         peers that may call it, as in a NetworkPolicy; empty: everyone
*/}}
{{- define "service.objects" -}}
{{- with .service.pool }}
{{- if gt (int .min) (int .max) }}
{{- fail (printf "services.%s.pool: min is %d and max is %d: set min to at most max" $.name (int .min) (int .max)) }}
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
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service.ownMetadata" . | nindent 2 }}
spec:
  replicas: {{ .service.replicas }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    # The new pod serves before the old one goes: requests in flight see no gap.
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "service.ownSelector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "service.ownSelector" . | nindent 8 }}
      {{- with .service.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
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
        {{- include "service.container" . | nindent 8 }}
        args: [migrate, --wait, "120"]
      containers:
      - name: {{ .name }}
        {{- include "service.container" . | nindent 8 }}
        args: [serve]
        ports:
        - {name: http, containerPort: 8080, protocol: TCP}
        {{- include "service.httpProbes" (dict "port" "http" "live" "/healthz" "ready" "/readyz") | nindent 8 }}
        lifecycle:
          preStop:
            # Proxies drop this pod from their lists first; then SIGTERM, and requests in flight are finished.
            sleep: {seconds: 3}
      volumes:
      - {{- include "service.tmpVolume" (dict) | nindent 8 }}
{{- end -}}

{{/* What the migrating and the serving container share: the same code with the same credentials. */}}
{{- define "service.container" -}}
image: {{ include "service.image" (dict "root" .root "image" .service.image) }}
imagePullPolicy: {{ .service.image.pullPolicy }}
securityContext:
  {{- include "service.containerSecurity" . | nindent 2 }}
resources:
  {{- toYaml .service.resources | nindent 2 }}
env:
- name: DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .databaseSecret }}, key: url}
{{- with .captureSecret }}
- name: CAPTURE_ROLE
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: username}
{{- end }}
- {name: HOST, value: 0.0.0.0}
- {name: PORT, value: "8080"}
- {name: POOL_MIN, value: {{ .service.pool.min | quote }}}
- {name: POOL_MAX, value: {{ .service.pool.max | quote }}}
- {name: LOG_LEVEL, value: {{ .service.logLevel }}}
- {name: FAULTS_ENABLED, value: {{ .root.Values.faults.enabled | quote }}}
{{- with .service.extraEnv }}
{{ toYaml . }}
{{- end }}
volumeMounts:
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "service.clusterService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "service.ownMetadata" . | nindent 2 }}
spec:
  type: {{ ternary "NodePort" "ClusterIP" (not (empty .service.nodePort)) }}
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
    {{- with .callers }}
    from:
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
  {{- include "service.egressDns" . | nindent 2 }}
  # Its own database and no other.
  {{- include "service.egressDatabase" (dict "root" .root "pods" .databasePods) | nindent 2 }}
{{- end -}}
