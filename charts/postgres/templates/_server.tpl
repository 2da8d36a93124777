{{/*
The server: a StatefulSet of one, so that two servers never open the same data, with a claim of its own instead of a
template, whose size could not be changed later.
*/}}
{{- define "postgres.claimName" -}}
{{- .Values.storage.existingClaim | default (printf "%s-data" (include "service.fullname" .)) -}}
{{- end -}}

{{- define "postgres.claim" -}}
{{- if not .Values.storage.existingClaim -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "postgres.metadata" (dict "root" . "suffix" "-data" "keep" .Values.storage.keep) | nindent 2 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .Values.storage.className }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ .Values.storage.size }}}
{{- end }}
{{- end -}}

{{- define "postgres.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "postgres.metadata" (dict "root" .) | nindent 2 }}
spec:
  selector:
    {{- include "postgres.selector" . | nindent 4 }}
  ports:
  - {name: postgres, port: 5432, targetPort: postgres, protocol: TCP}
{{- end -}}

{{- define "postgres.statefulset" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "postgres.metadata" (dict "root" .) | nindent 2 }}
spec:
  replicas: 1
  revisionHistoryLimit: 3
  serviceName: {{ include "service.fullname" . }}
  selector:
    matchLabels:
      {{- include "postgres.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "postgres.selector" . | nindent 8 }}
      annotations:
        # Most settings are read at start only: a change of them restarts the server, a new database does not.
        kompensa.dev/settings: {{ include "postgres.settings" . | sha256sum | trunc 16 | quote }}
        {{- with .Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      # A fast shutdown writes a checkpoint first.
      terminationGracePeriodSeconds: 60
      securityContext:
        {{- include "service.podSecurity" (dict "user" .Values.runAsUser) | nindent 8 }}
      {{- include "service.scheduling" (dict "pod" .Values "root" .) | nindent 6 }}
      containers:
      - {{- include "postgres.container" . | nindent 8 }}
      volumes:
      - name: data
        persistentVolumeClaim: {claimName: {{ include "postgres.claimName" . }}}
      - name: config
        configMap: {name: {{ include "service.fullname" . }}}
      - name: superuser
        secret:
          secretName: {{ include "postgres.superuserSecret" . }}
          defaultMode: 0440
          items: [{key: password, path: password}]
      - {{- include "service.tmpVolume" (dict) | nindent 8 }}
{{- end -}}

{{- define "postgres.container" -}}
name: postgres
image: {{ include "service.image" (dict "root" . "image" .Values.image) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [-c, config_file=/etc/postgresql/postgresql.conf, -c, hba_file=/etc/postgresql/pg_hba.conf]
env:
- {name: PGDATA, value: /var/lib/postgresql/data/pgdata}
- {name: POSTGRES_PASSWORD_FILE, value: /etc/superuser/password}
ports:
- {name: postgres, containerPort: 5432, protocol: TCP}
startupProbe:
  exec: {command: [pg_isready, --quiet, --host=/tmp]}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: 300
readinessProbe:
  exec: {command: [pg_isready, --quiet, --host=/tmp]}
  periodSeconds: 10
  timeoutSeconds: 3
livenessProbe:
  # Only whether it takes connections at all: a server that recovers from a crash must be left to it.
  tcpSocket: {port: postgres}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "service.containerSecurity" . | nindent 2 }}
volumeMounts:
- {name: data, mountPath: /var/lib/postgresql/data}
- {name: config, mountPath: /etc/postgresql, readOnly: true}
- {name: superuser, mountPath: /etc/superuser, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "postgres.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "postgres.metadata" (dict "root" .) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "postgres.selector" . | nindent 6 }}
  # No egress: a database calls nobody.
  policyTypes: [Ingress, Egress]
  ingress:
  - ports:
    - {protocol: TCP, port: postgres}
    from:
    # Our own Jobs: the one that makes the roles, and `helm test`.
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ include "service.fullname" . }}
          app.kubernetes.io/instance: {{ .Release.Name }}
        matchExpressions:
        - {key: app.kubernetes.io/component, operator: In, values: [postgres-provision, postgres-test]}
    {{- with .Values.networkPolicy.from }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress: []
{{- end -}}
