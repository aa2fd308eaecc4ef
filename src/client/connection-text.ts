/** How to point the usual clients at an endpoint. `model` is what they name. */
export function connectionText(options: { readonly baseUrl: string; readonly model: string }): string {
  const { baseUrl, model } = options;
  return `  curl      curl -s ${baseUrl}/v1/chat/completions -H 'content-type: application/json' \\
              -d '{"model":"${model}","messages":[{"role":"user","content":"What is cortex?"}]}'
  OpenAI    new OpenAI({ baseURL: "${baseUrl}/v1", apiKey: "none" })           # JavaScript
            OpenAI(base_url="${baseUrl}/v1", api_key="none")                 # Python
  env       export OPENAI_BASE_URL=${baseUrl}/v1 OPENAI_API_KEY=none`;
}
