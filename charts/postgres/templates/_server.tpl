{{/*
The server: a StatefulSet with one pod, so that two servers never open the same data. Its volume claim is an object of
its own, because the size in a claim template could not be changed later.
*/}}
{{- define "postgres.claimName" -}}
{{- .values.storage.existingClaim | default (printf "%s-data" .name) -}}
{{- end -}}

{{- define "postgres.claim" -}}
{{- if not .values.storage.existingClaim -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "postgres.metadata" (dict "root" .root "name" .name "fullname" (printf "%s-data" .name) "keep" .values.storage.keep) | nindent 2 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .values.storage.className }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests: {storage: {{ .values.storage.size }}}
{{- end }}
{{- end -}}

{{- define "postgres.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "postgres.metadata" . | nindent 2 }}
spec:
  {{- with include "service.ipFamilies" .root }}
  {{- . | nindent 2 }}
  {{- end }}
  selector:
    {{- include "postgres.selector" . | nindent 4 }}
  ports:
  - {name: postgres, port: 5432, targetPort: postgres, protocol: TCP}
{{- end -}}

{{- define "postgres.statefulset" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "postgres.metadata" . | nindent 2 }}
spec:
  replicas: 1
  revisionHistoryLimit: 3
  serviceName: {{ .name }}
  selector:
    matchLabels:
      {{- include "postgres.selector" . | nindent 6 }}
  template:
    metadata:
      {{- /* The server reads most settings at its start: a changed setting restarts it, a new database does not. */}}
      {{- $settings := dict "kompensa.dev/settings" (include "postgres.settings" . | sha256sum | trunc 16) }}
      {{- include "service.podMetadata" (dict "root" .root "name" .name "component" "postgres" "pod" .values "annotations" $settings) | nindent 6 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      # A fast shutdown writes a checkpoint first.
      terminationGracePeriodSeconds: 60
      securityContext:
        {{- include "service.podSecurity" (dict "user" .root.Values.runAsUser) | nindent 8 }}
      {{- include "service.scheduling" (dict "pod" .values "root" .root) | nindent 6 }}
      containers:
      - {{- include "postgres.container" . | nindent 8 }}
      volumes:
      - name: data
        persistentVolumeClaim: {claimName: {{ include "postgres.claimName" . | quote }}}
      - name: config
        configMap: {name: {{ .name }}}
      - {{- include "postgres.superuserVolume" . | nindent 8 }}
      - {{- include "service.tmpVolume" (dict) | nindent 8 }}
{{- end -}}

{{- define "postgres.container" -}}
name: postgres
image: {{ include "service.image" (dict "root" .root "image" .values.image) | quote }}
imagePullPolicy: {{ .values.image.pullPolicy }}
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
  # Checks only that it accepts connections: a restart would interrupt a server that recovers from a crash.
  tcpSocket: {port: postgres}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources:
  {{- toYaml .values.resources | nindent 2 }}
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
  {{- include "postgres.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "postgres.selector" . | nindent 6 }}
  # No egress: a database opens no connections.
  policyTypes: [Ingress, Egress]
  ingress:
  - ports:
    - {protocol: TCP, port: postgres}
    from:
    # Our own Jobs: the one that makes the roles, and `helm test`.
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ .name | quote }}
          app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
        matchExpressions:
        - {key: app.kubernetes.io/component, operator: In, values: [postgres-provision, postgres-test]}
    {{- with .values.networkPolicy.from }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress: []
{{- end -}}
