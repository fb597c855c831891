{{/*
Pods that serve gRPC, of (dict "root" $ "role" "api" "values" .Values.api "roles" "api,edge"), with their services.

Probes go to the operators' port, which has no TLS: Kubernetes cannot ask otherwise. Ready is who can serve, and so has a
database; alive is who answers at all, for a database that is away must not have servers started again.
*/}}
{{- define "rowlock.servers" -}}
{{- $root := .root }}
{{- $name := printf "%s-%s" (include "rowlock.name" $root) .role }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels:
    {{- include "rowlock.labels" . | nindent 4 }}
spec:
  {{- if not .values.autoscaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "rowlock.selector" . | nindent 6 }}
  strategy:
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        {{- include "rowlock.labels" . | nindent 8 }}
      {{- include "rowlock.podAnnotations" (dict "root" $root "port" 9464) | nindent 6 }}
    spec:
      {{- include "rowlock.podSecurity" . | nindent 6 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- include "rowlock.spread" . | nindent 6 }}
      # preStop, the drain, and what the process takes to close its connections.
      terminationGracePeriodSeconds: {{ add 5 .values.drainSeconds 10 }}
      containers:
        - name: server
          image: {{ include "rowlock.image" (dict "root" $root "image" $root.Values.image) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [serve]
          env:
            {{- $own := dict "ROWLOCK_ROLES" .roles "ROWLOCK_DRAIN_TIME" (printf "%ds" (int .values.drainSeconds)) "ROWLOCK_ADMIN_ADDRESS" "0.0.0.0:50052" }}
            {{- include "rowlock.environment" (dict "root" $root "more" (merge $own .values.settings)) | nindent 12 }}
          ports:
            - {name: grpc, containerPort: 50051}
            - {name: admin, containerPort: 50052}
            - {name: metrics, containerPort: 9464}
          startupProbe:
            tcpSocket: {port: admin}
            periodSeconds: 2
            failureThreshold: 60
          readinessProbe:
            grpc: {port: 50052}
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          livenessProbe:
            httpGet: {path: /metrics, port: metrics}
            periodSeconds: 20
            timeoutSeconds: 10
            failureThreshold: 6
          lifecycle:
            preStop:
              # Until every balancer has heard that this pod goes; only then is it told to.
              sleep: {seconds: 5}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          {{- include "rowlock.containerSecurity" . | nindent 10 }}
          volumeMounts:
            {{- include "rowlock.mounts" $root | nindent 12 }}
      volumes:
        {{- include "rowlock.volumes" $root | nindent 8 }}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- include "rowlock.labels" . | nindent 4 }}
  {{- with .values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .values.service.type }}
  selector:
    {{- include "rowlock.selector" . | nindent 4 }}
  ports:
    - {name: grpc, port: 50051, targetPort: grpc, appProtocol: kubernetes.io/h2c}
---
# The pods one by one, for callers that spread their calls themselves, as the gateway does.
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}-pods
  labels:
    {{- include "rowlock.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector:
    {{- include "rowlock.selector" . | nindent 4 }}
  ports:
    - {name: grpc, port: 50051, targetPort: grpc}
    - {name: metrics, port: 9464, targetPort: metrics}
{{- end }}
