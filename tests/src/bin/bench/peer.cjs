// The peer of the backfill: @supabase/stripe-sync-engine into PostgreSQL, list after list as it does by itself.
// Everything comes from the environment; the last line of the output is what it came to, as JSON.
// CommonJS, since its other build cannot find its migrations.
const { StripeSync, runMigrations } = require('@supabase/stripe-sync-engine');
const Stripe = require('stripe');

const { PEER_DATABASE, PEER_STRIPE, PEER_KEY, PEER_VERSION } = process.env;
const address = new URL(PEER_STRIPE);

// Its own client talks to Stripe's host only; this one counts what is answered beside.
let requests = 0;
let refusals = 0;
const httpClient = Stripe.createNodeHttpClient();
const send = httpClient.makeRequest.bind(httpClient);
httpClient.makeRequest = async (...request) => {
  requests += 1;
  const answer = await send(...request);
  if (answer.getStatusCode() === 429) refusals += 1;
  return answer;
};

async function main() {
  // It reports a failed migration to its log alone.
  const failed = (error) => {
    throw error;
  };
  await runMigrations({ databaseUrl: PEER_DATABASE, schema: 'stripe', logger: { info() {}, error: failed } });
  const sync = new StripeSync({
    poolConfig: { connectionString: PEER_DATABASE, max: 10 },
    stripeSecretKey: PEER_KEY,
    stripeWebhookSecret: 'whsec_unused',
    stripeApiVersion: PEER_VERSION,
    autoExpandLists: true,
    backfillRelatedEntities: false,
  });
  sync.stripe = new Stripe(PEER_KEY, {
    apiVersion: PEER_VERSION,
    host: address.hostname,
    port: address.port,
    protocol: 'http',
    httpClient,
    telemetry: false,
  });

  const before = process.cpuUsage();
  const began = performance.now();
  let objects = 0;
  // In the order of its own `all`, as far as the sample Stripe has the lists.
  for (const object of [
    'product',
    'price',
    'customer',
    'subscription',
    'invoice',
    'charge',
    'credit_note',
    'dispute',
    'refund',
  ]) {
    const done = await sync.syncBackfill({ object });
    objects += Object.values(done).reduce((sum, list) => sum + (list?.synced ?? 0), 0);
  }
  const seconds = (performance.now() - began) / 1000;
  const used = process.cpuUsage(before);
  const cpu = (used.user + used.system) / 1e6;
  console.log(JSON.stringify({ seconds, objects, requests, refusals, cpu }));
  await sync.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
