/** The scenarios. Add a budget as a case in one of these files, or in a new one. */

import { authScenario } from "./scenarios/auth.ts";
import { connectScenario } from "./scenarios/connect.ts";
import { dashboardScenario } from "./scenarios/dashboard.ts";
import { deltasScenario } from "./scenarios/deltas.ts";
import { durableScenario } from "./scenarios/durable.ts";
import { durableWritesScenario } from "./scenarios/durable_writes.ts";
import { echoScenario } from "./scenarios/echo.ts";
import { fanoutScenario } from "./scenarios/fanout.ts";
import { hooksScenario } from "./scenarios/hooks.ts";
import { httpApiScenario } from "./scenarios/http_api.ts";
import { hubScenario } from "./scenarios/hub.ts";
import { idleScenario } from "./scenarios/idle.ts";
import { liveQueriesScenario } from "./scenarios/live_queries.ts";
import { recoverScenario } from "./scenarios/recover.ts";
import { sqlEventsScenario } from "./scenarios/sql_events.ts";
import { tinybaseScenario } from "./scenarios/tinybase.ts";
import { traceScenario } from "./scenarios/trace.ts";
import { webhooksScenario } from "./scenarios/webhooks.ts";
import { workersScenario } from "./scenarios/workers.ts";
import type { Scenario } from "./types.ts";

/** All scenarios, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  hooksScenario,
  echoScenario,
  fanoutScenario,
  connectScenario,
  recoverScenario,
  deltasScenario,
  idleScenario,
  authScenario,
  durableWritesScenario,
  durableScenario,
  liveQueriesScenario,
  hubScenario,
  httpApiScenario,
  webhooksScenario,
  traceScenario,
  dashboardScenario,
  tinybaseScenario,
  sqlEventsScenario,
  workersScenario,
];
