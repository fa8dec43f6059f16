// A certified OpenID provider for tests: any login name signs in, groups come from the environment.
import { Provider } from 'oidc-provider';

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const audience = 'urn:custody:api';

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'custody',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
      redirect_uris: ['http://127.0.0.1:9/callback'],
    },
    {
      client_id: 'planner',
      client_secret: 'a-secret-of-the-tests-only-a-secret-of-the-tests-only',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
  ],
  claims: { openid: ['sub', 'email', 'email_verified', 'groups'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, groups: ['security', 'developers'] }),
  }),
  pkce: { required: () => true },
  features: {
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => (ctx.oidc.body?.grant_type === 'client_credentials' ? audience : undefined),
      getResourceServerInfo: () => ({ scope: '', audience, accessTokenTTL: 300, accessTokenFormat: 'jwt' }),
    },
  },
  cookies: { keys: ['a key of the tests only'] },
});

provider.listen(port, '127.0.0.1', () => console.log('ready'));
