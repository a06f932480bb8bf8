// An OpenID provider on loopback: node provider.mjs PORT. One line of JSON says that it listens.
//
// POST /test/rotate?keep=N   new signing keys; the N sets before stay published
// POST /test/away?is=1|0     answers nothing but 503
// GET  /test/counts          requests so far, by path
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const resource = 'urn:mreg';
const ttl = Number(process.env.TOKEN_TTL_S || 120);
const counts = {};
let sets = [];
let away = false;
let provider;

// The provider's own storage ends with the provider, and each set of keys is a new one.
class Storage {
  static rows = new Map();
  constructor(kind) {
    this.kind = kind;
  }
  only(test) {
    return [...Storage.rows].filter(([key]) => key.startsWith(`${this.kind}:`)).map(([, row]) => row).find(test);
  }
  async upsert(id, row) {
    Storage.rows.set(`${this.kind}:${id}`, row);
  }
  async find(id) {
    return Storage.rows.get(`${this.kind}:${id}`);
  }
  async findByUserCode(code) {
    return this.only((row) => row.userCode === code);
  }
  async findByUid(uid) {
    return this.only((row) => row.uid === uid);
  }
  async consume(id) {
    (await this.find(id)).consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    Storage.rows.delete(`${this.kind}:${id}`);
  }
  async revokeByGrantId(grant) {
    for (const [key, row] of Storage.rows) if (row.grantId === grant) Storage.rows.delete(key);
  }
}

function keys() {
  const kid = randomUUID();
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  return [
    { ...rsa, kid: `rsa-${kid}`, use: 'sig', alg: 'RS256' },
    { ...ec, kid: `ec-${kid}`, use: 'sig', alg: 'ES256' },
  ];
}

function rotate(keep) {
  sets = [keys(), ...sets.slice(0, keep)];
  provider = new Provider(issuer, {
    adapter: Storage,
    jwks: { keys: sets.flat() },
    cookies: { keys: ['test'] },
    clients: [
      {
        client_id: 'robot',
        client_secret: 'robot-secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: 'mreg-cli',
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    scopes: ['openid', 'offline_access'],
    claims: { openid: ['sub', 'groups'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: ['ml'] }) }),
    extraTokenClaims: (_, token) => ({ groups: token.kind === 'ClientCredentials' ? ['robots'] : ['ml'] }),
    rotateRefreshToken: true,
    ttl: { AccessToken: ttl, ClientCredentials: ttl, DeviceCode: 300, RefreshToken: 3600, Session: 600, Grant: 3600 },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'openid',
          audience: 'mreg',
          accessTokenTTL: ttl,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: process.env.TOKEN_ALG || 'RS256' } },
        }),
      },
    },
  });
}

function control(url) {
  if (url.pathname === '/test/rotate') rotate(Number(url.searchParams.get('keep') || 0));
  if (url.pathname === '/test/away') away = url.searchParams.get('is') === '1';
  return JSON.stringify(counts);
}

rotate(0);
createServer((request, response) => {
  const url = new URL(request.url, issuer);
  if (url.pathname.startsWith('/test/')) {
    response.setHeader('content-type', 'application/json');
    response.end(control(url));
    return;
  }
  counts[url.pathname] = (counts[url.pathname] || 0) + 1;
  if (away) {
    response.statusCode = 503;
    response.end();
    return;
  }
  provider.callback()(request, response);
}).listen(port, '127.0.0.1', () => console.log(JSON.stringify({ issuer })));
