/** The services of the contract. */

import type { DescService } from "@bufbuild/protobuf";
import { AccessService } from "./gen/registry_grpc/v1/access_pb.js";
import { ArtifactService } from "./gen/registry_grpc/v1/artifacts_pb.js";
import { AuditService } from "./gen/registry_grpc/v1/audit_pb.js";
import { CatalogueService } from "./gen/registry_grpc/v1/catalogue_pb.js";
import { DeploymentService } from "./gen/registry_grpc/v1/deployments_pb.js";
import { EventService } from "./gen/registry_grpc/v1/events_pb.js";
import { EvidenceService } from "./gen/registry_grpc/v1/evidence_pb.js";
import { GovernanceService } from "./gen/registry_grpc/v1/governance_pb.js";
import { LineageService } from "./gen/registry_grpc/v1/lineage_pb.js";
import { ModelService } from "./gen/registry_grpc/v1/models_pb.js";
import { ProjectService } from "./gen/registry_grpc/v1/projects_pb.js";
import { ServerService } from "./gen/registry_grpc/v1/server_pb.js";
import { StageService } from "./gen/registry_grpc/v1/stages_pb.js";
import { WebhookService } from "./gen/registry_grpc/v1/webhooks_pb.js";

/** Every service of the contract; a test holds it to the generated files. */
export const SERVICES: readonly DescService[] = [
  AccessService,
  ArtifactService,
  AuditService,
  CatalogueService,
  DeploymentService,
  EventService,
  EvidenceService,
  GovernanceService,
  LineageService,
  ModelService,
  ProjectService,
  ServerService,
  StageService,
  WebhookService,
];
