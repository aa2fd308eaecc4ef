import type { ErrorCode } from "../core/errors.ts";
import { explained, type Explained } from "./explained.ts";

/** What a client of the API got wrong, or may not do. */
// oxfmt-ignore
export const REQUEST_CODES = {
  malformed_json: explained(
    "The body of the request is not JSON, or there is none. A shell that ate the quotes, a trailing comma and a body that was cut off are the usual causes; the message says where reading stopped.",
    "With curl, put the body into single quotes or a file: `curl -d @question.json`.",
  ),
  missing_model_field: explained(
    "The request does not say which model it is for. cortex never guesses one: `model` is needed in every dialect.",
    "`cortex models` shows what the fleet offers, `cortex connect` how a client is told.",
  ),
  invalid_request_body: explained(
    "The body is JSON, but a field of it cannot be: a wrong type, a value out of range, two fields that exclude each other, nesting beyond any use. `param` names the field.",
    "docs/clients.md says what each dialect takes. If another server takes the same request, `cortex conform URL` compares the two.",
  ),
  unsupported_parameter: explained(
    "The field is known, and what it asks for cannot be done here: a JSON schema that no grammar can enforce, an input that the model has no sense for, more answers or texts than one request may have. It is refused instead of being ignored, since an answer would look as if it had been honoured.",
    "`param` names the field; leave it out or ask for less. For schemas, the message names the place that is too rich.",
  ),
  context_length_exceeded: explained(
    "The conversation is longer than a slot of the model holds. `prompt_tokens` and `max_prompt_tokens` in the error say by how much. Agents that see this code shorten the conversation by themselves.",
    "If the model can hold more, raise `context` in its block; `cortex plan` shows what that costs in memory.",
    "A `limit` in the model's block tells clients beforehand how much they may send.",
  ),
  template_render_failed: explained(
    "Prompts are made by the chat template inside the model's file, and this template refused the request or failed on it: a role that it does not know, tools that it ignores, or no template at all.",
    "Leave out what the message names (often `tools`), or use `/v1/completions` with a prompt of your own.",
    "If the same file works elsewhere, it is worth reporting with the model's name.",
  ),
  vision_unsupported: explained(
    "The request has an image, and the model reads text only. Images are taken by models whose external engine declares it.",
    "docs/external-engines.md says how a model declares `capabilities = [\"vision\"]`.",
  ),
  wrong_modality: explained(
    "The route asks for something that the model does not do: embeddings of a chat model, a chat with an embedding model, ranking without a classifier, speech without an engine for it.",
    "`cortex models --json` lists the capabilities of each model.",
  ),
  previous_response_not_found: explained(
    "The request goes on from a response that this gateway does not keep: they are kept in memory for an hour after their last use, for the key that asked, and not at all with `store: false`. A restart forgets them, and several gateways do not share them.",
    "docs/clients.md says what is kept, and for how long.",
  ),
  model_not_found: explained(
    "No model or alias has this name. Names are compared letter by letter; the message says which one was probably meant. Right after a change of the fleet files, the gateway may not have read them yet.",
    "`cortex models` shows the names; `cortex connect` writes them into a client's settings.",
    "If it ought to be there: `cortex validate` checks the files, and SIGHUP has a gateway read them again.",
  ),
  route_not_found: explained(
    "Nothing is served at this path. Most often a base URL has one `/v1` too many or too few: OpenAI's clients want it, Anthropic's and Ollama's do not.",
    "`cortex connect` prints the base URL that each client wants.",
    "`/ui` of a gateway that runs from source is there after `npm run build`.",
  ),
  method_not_allowed: explained(
    "The path is right, the method is not: questions to models are POST, lists and states are GET.",
  ),
  managed_by_fleet_files: explained(
    "A client of Ollama wanted to pull, create, copy or delete a model. What this fleet offers is decided by its files, so that it can be reviewed and taken back.",
    "Add or remove the model's block, then `cortex plan` and `cortex apply`.",
  ),
  unsupported_media_type: explained(
    "The body came with a content type, or an encoding, that is not read here.",
    "Bodies are JSON, forms (for sounds and images) multipart; both may be compressed by gzip, deflate, br or zstd, once.",
  ),
  body_too_large: explained(
    "The body, or what it unpacks to, is larger than `body_mb` in [gateway.limits] allows (32 MiB unless declared). Long conversations with images in base64 get there first.",
  ),
  malformed_request: explained(
    "What came is not HTTP as it should be: no Host header, an escape in the path that is none, a body that is not what its content encoding says. Behind a proxy, it is often the proxy.",
    "Try the same request without the proxy: `cortex connect --check` asks as a client would.",
  ),
  head_too_large: explained(
    "The headers are longer than 16 KiB. Cookies of other services on the same host name are the usual reason.",
  ),
  request_timeout: explained(
    "The head of the request took longer than `head_secs`, or its body came slower than `body_bytes_per_sec` for ten seconds (both in [gateway.limits]). A client that stalls would otherwise hold a connection for ever.",
    "Where slow uploads are normal, lower `body_bytes_per_sec`; 0 allows any pace.",
  ),
  request_incomplete: explained(
    "The client closed the connection before its request was whole. The answer goes to nobody; the code is for the log.",
    "If it repeats, look at the client's own timeout and at proxies in between.",
  ),
  host_not_allowed: explained(
    "The request calls the gateway by a name that it does not know. This keeps web pages from reaching it through a name of their own (DNS rebinding).",
    "Addresses and `localhost` always work; other names go into `hosts` of [gateway].",
  ),
  origin_not_allowed: explained(
    "A web page from elsewhere asked. Browsers say where a page comes from, and pages may use the gateway only where `origins` of [gateway] lists them. Programs are not affected.",
  ),
  unauthorized: explained(
    "No key or token was sent, or none that is known here. A gateway wants a key as soon as the fleet declares one; a neuron wants its token, or a certificate of the fleet.",
    "Gateway: `cortex key ls` shows which keys there are, `cortex key create NAME` makes one; clients send it as a bearer token or as `x-api-key`, commands with `--api-key-file`.",
    "Neuron: commands and gateways take `--neuron-token-file`; machines that have joined the fleet need none (`cortex neuron invite NAME`).",
    "`cortex doctor` tries both and says which one is refused.",
  ),
  model_not_allowed: explained(
    "The key is good, and its `models` in the fleet files do not cover this one. A pattern there may be narrower than it looks: `*` stands for any characters, a name without it for itself.",
    "`cortex key ls` shows what each key covers.",
  ),
  admin_required: explained(
    "The route tells of the whole fleet (`/fleet`, `/fleet/events`, `/fleet/requests`, `/usage`), and the key is for clients. `cortex top`, `cortex usage` and `cortex explain` need a key with the admin role.",
    "`cortex key create ops --admin` makes one.",
  ),
  insufficient_quota: explained(
    "The key has used the tokens that its `hard_cap` grants. With a rolling window they come back by themselves; with a balance they do not, and then waiting does not help.",
    "A request is let in with what it may cost at most, so a large `max_tokens` can be refused while a small one still passes.",
  ),
  rate_limit_exceeded: explained(
    "The key has begun more requests in a minute, has more of them under way, or has used more tokens of its rolling window, than its block allows. `Retry-After` says when the next one has a chance; SDKs wait for it by themselves.",
    "`requests_per_minute`, `parallel_requests` and `hard_cap` stand in the key's block (docs/fleet-files.md).",
  ),
} satisfies Partial<Record<ErrorCode, Explained>>;
