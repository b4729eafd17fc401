//! The table itself. Read a line as: methods, path, what it is, and `by` where else it names the
//! resource whose owner pays. `{dataset}`, `{dialog}` … are ids of that kind, `{id}` any other.

#[allow(clippy::wildcard_imports)]
use super::operations::*;

pub(super) static ROUTES: &[Row] = routes! {
    // ── Questions ───────────────────────────────────────────────────────────────────────────────────
    POST "/api/v1/chat/completions"                       => CHAT by Body "chat_id" Dialog, Body "session_id" Session;
    POST "/api/v1/openai/{dialog}/chat/completions"       => CHAT_OPENAI;
    POST "/api/v1/agents/chat/completions"                => AGENT by Body "agent_id" Agent;
    POST "/api/v1/agents/chat/completion"                 => AGENT by Body "agent_id" Agent;
    POST "/api/v1/searches/{search}/completion"           => ASK;
    POST "/api/v1/searches/{search}/completions"          => ASK;
    POST "/api/v1/chatbots/{dialog}/completions"          => CHAT_EMBED;
    POST "/api/v1/agentbots/{agent}/completions"          => AGENT_EMBED;
    POST "/api/v1/searchbots/ask"                         => ASK_EMBED by Body "kb_ids" Dataset, Body "search_id" Search;
    ANY  "/api/v1/agents/{agent}/webhook"                 => HOOK;
    ANY  "/api/v1/agents/{agent}/webhook/test"            => HOOK_TEST;
    // Until v0.25, and as aliases since.
    POST "/api/v1/chats/{dialog}/completions"             => CHAT;
    POST "/api/v1/chats_openai/{dialog}/chat/completions" => CHAT_OPENAI;
    POST "/api/v1/agents/{agent}/completions"             => AGENT;
    POST "/api/v1/agents_openai/{agent}/chat/completions" => AGENT_OPENAI;
    POST "/api/v1/sessions/ask"                           => ASK by Body "dataset_ids" Dataset;
    ANY  "/api/v1/webhook/{agent}"                        => HOOK;
    ANY  "/api/v1/webhook_test/{agent}"                   => HOOK_TEST;
    // The web UI until v0.24.
    POST "/v1/conversation/completion"                    => CHAT by Body "conversation_id" Session;
    POST "/v1/conversation/ask"                           => ASK by Body "kb_ids" Dataset, Body "search_id" Search;
    POST "/v1/canvas/completion"                          => RUN by Body "id" Agent;
    POST "/v1/canvas/{agent}/completion"                  => RUN;
    POST "/v1/api/completion"                             => CHAT by Body "conversation_id" Session;
    // Its API key stands in the body.
    POST "/v1/api/completion_aibotk"                      => HOOK by Body "conversation_id" Session;
    // Asks a chat each question of a set, in the background.
    POST "/v1/evaluation/run/start"                       => HELP by Body "dialog_id" Dialog;
    POST "/v1/evaluation/evaluate_single"                 => HELP by Body "dialog_id" Dialog;

    // ── Model work beside a question ────────────────────────────────────────────────────────────────
    POST "/api/v1/chat/mindmap"                           => HELP by Body "kb_ids" Dataset, Body "search_id" Search;
    POST "/api/v1/chat/recommendation"                    => HELP by Body "search_id" Search;
    POST "/api/v1/chat/audio/speech"                      => HELP;
    POST "/api/v1/chat/audio/transcription"               => HELP;
    POST "/api/v1/searchbots/mindmap"                     => HELP_EMBED by Body "kb_ids" Dataset, Body "search_id" Search;
    POST "/api/v1/searchbots/related_questions"           => HELP_EMBED by Body "search_id" Search;
    POST "/api/v1/agents/{agent}/components/{id}/debug"   => HELP;
    POST "/api/v1/messages"                               => HELP by Body "memory_id" Memory, Body "agent_id" Agent;
    POST "/api/v1/sessions/related_questions"             => HELP by Body "search_id" Search;
    POST "/api/v1/sequence2txt"                           => HELP;
    POST "/api/v1/tts"                                    => HELP;
    POST "/v1/conversation/mindmap"                       => HELP by Body "kb_ids" Dataset, Body "search_id" Search;
    POST "/v1/conversation/related_questions"             => HELP by Body "search_id" Search;
    POST "/v1/conversation/tts"                           => HELP;
    POST "/v1/conversation/sequence2txt"                  => HELP;
    POST "/v1/canvas/debug"                               => HELP by Body "id" Agent;
    POST "/v1/messages"                                   => HELP by Body "memory_id" Memory, Body "agent_id" Agent;

    // ── Passages ────────────────────────────────────────────────────────────────────────────────────
    POST "/api/v1/retrieval"                              => FIND by Body "dataset_ids" Dataset;
    POST "/api/v1/datasets/search"                        => FIND by Body "dataset_ids" Dataset, Body "kb_id" Dataset;
    POST "/api/v1/datasets/{dataset}/search"              => FIND;
    POST "/api/v1/searchbots/retrieval_test"              => FIND_EMBED by Body "kb_id" Dataset, Body "search_id" Search;
    GET|POST "/api/v1/dify/retrieval"                     => FIND_DIFY by Body "knowledge_id" Dataset, Query "knowledge_id" Dataset;
    GET  "/api/v1/messages/search"                        => FIND by Query "memory_id" Memory;
    GET  "/v1/messages/search"                            => FIND by Query "memory_id" Memory;
    POST "/v1/chunk/retrieval_test"                       => FIND by Body "kb_id" Dataset;
    POST "/v1/api/retrieval"                              => FIND by Body "kb_id" Dataset;

    // ── Uploads ─────────────────────────────────────────────────────────────────────────────────────
    POST "/api/v1/datasets/{dataset}/documents"           => UPLOAD;
    POST "/api/v1/documents/upload"                       => STORE;
    POST "/api/v1/files"                                  => STORE;
    POST "/api/v1/files/link-to-datasets"                 => LINK by Body "kb_ids" Dataset, Body "dataset_ids" Dataset;
    POST "/api/v1/agents/{agent}/upload"                  => STORE_EMBED;
    POST "/api/v1/file/upload"                            => STORE;
    POST "/api/v1/file/create"                            => STORE;
    POST "/api/v1/file/convert"                           => LINK by Body "kb_ids" Dataset;
    POST "/api/v1/file/upload_info"                       => STORE;
    POST "/v1/document/upload"                            => UPLOAD by Form "kb_id" Dataset;
    POST "/v1/document/create"                            => UPLOAD by Body "kb_id" Dataset;
    POST "/v1/document/web_crawl"                         => UPLOAD by Form "kb_id" Dataset;
    POST "/v1/document/upload_and_parse"                  => UPLOAD by Form "conversation_id" Session;
    POST "/v1/document/upload_info"                       => STORE;
    POST "/v1/file/upload"                                => STORE;
    POST "/v1/file/create"                                => STORE;
    POST "/v1/file2document/convert"                      => LINK by Body "kb_ids" Dataset;
    POST "/v1/canvas/upload/{agent}"                      => STORE_OPEN;
    // Names its dataset among the caller's own.
    POST "/v1/api/document/upload"                        => UPLOAD;
    POST "/v1/api/document/upload_and_parse"              => UPLOAD by Form "conversation_id" Session;

    // ── Parsing, embedding, indexing ────────────────────────────────────────────────────────────────
    POST "/api/v1/datasets/{dataset}/documents/parse"     => PARSE;
    POST "/api/v1/documents/ingest"                       => PARSE_OR_STOP by Body "doc_ids" Document;
    POST "/api/v1/datasets/{dataset}/chunks"              => PARSE;
    POST "/api/v1/datasets/{dataset}/index"               => PARSE;
    POST "/api/v1/datasets/{dataset}/embedding/check"     => PARSE;
    POST "/api/v1/datasets/{dataset}/documents/{document}/chunks"           => PARSE;
    PUT|PATCH "/api/v1/datasets/{dataset}/documents/{document}/chunks/{id}" => PARSE;
    POST "/api/v1/datasets/{dataset}/run_graphrag"        => PARSE;
    POST "/api/v1/datasets/{dataset}/run_raptor"          => PARSE;
    // Work on a document anew, named by a line of its log: the caller's models do it.
    POST "/api/v1/agents/rerun"                           => PARSE;
    POST "/v1/canvas/rerun"                               => PARSE;
    POST "/api/v1/connectors/{id}/rebuild"                => PARSE by Body "kb_id" Dataset;
    PUT  "/v1/connector/{id}/rebuild"                     => PARSE by Body "kb_id" Dataset;
    POST "/v1/document/run"                               => PARSE_OR_STOP by Body "doc_ids" Document;
    POST "/v1/document/parse"                             => PARSE;
    POST "/v1/chunk/create"                               => PARSE by Body "doc_id" Document;
    POST "/v1/chunk/set"                                  => PARSE by Body "doc_id" Document;
    POST "/v1/kb/run_graphrag"                            => PARSE by Body "kb_id" Dataset;
    POST "/v1/kb/run_raptor"                              => PARSE by Body "kb_id" Dataset;
    POST "/v1/kb/run_mindmap"                             => PARSE by Body "kb_id" Dataset;
    POST "/v1/kb/check_embedding"                         => PARSE by Body "kb_id" Dataset;

    // ── New things ──────────────────────────────────────────────────────────────────────────────────
    POST "/api/v1/datasets"                               => DATASET;
    POST "/v1/kb/create"                                  => DATASET;
    POST "/api/v1/tenants/{tenant}/users"                 => INVITE;
    POST "/v1/tenant/{tenant}/user"                       => INVITE;
    POST "/api/v1/chats"                                  => MAKE;
    POST "/api/v1/agents"                                 => MAKE;
    POST "/api/v1/searches"                               => MAKE;
    POST "/api/v1/memories"                               => MAKE;
    POST "/api/v1/mcp/servers"                            => MAKE;
    POST "/api/v1/connectors"                             => MAKE;
    POST "/api/v1/chat-channels"                          => MAKE;
    // Until v0.24 these also change what is there, and the path does not tell.
    POST "/v1/dialog/set"                                 => MAKE;
    POST "/v1/canvas/set"                                 => MAKE;
    POST "/v1/search/create"                              => MAKE;
    POST "/v1/memories"                                   => MAKE;
    POST "/v1/mcp_server/create"                          => MAKE;
    POST "/v1/mcp_server/import"                          => MAKE;
    POST "/v1/connector/set"                              => MAKE;
    POST "/api/v1/system/tokens"                          => MAKE_KEY;
    POST "/v1/system/new_token"                           => MAKE_KEY;
    POST "/v1/api/new_token"                              => MAKE_KEY;

    // ── Who is who ──────────────────────────────────────────────────────────────────────────────────
    POST "/api/v1/auth/login"                             => SIGN_IN;
    GET  "/api/v1/auth/oauth/{id}/callback"               => SIGN_IN;
    POST "/v1/user/login"                                 => SIGN_IN;
    GET  "/v1/user/oauth/callback/{id}"                   => SIGN_IN;
    GET|POST "/api/v1/auth/logout"                        => SIGN_OUT;
    GET  "/v1/user/logout"                                => SIGN_OUT;
    PUT|PATCH "/api/v1/users/me"                          => SIGN_OUT;
    POST "/v1/user/setting"                               => SIGN_OUT;
    POST "/api/v1/users"                                  => REGISTER;
    POST "/v1/user/register"                              => REGISTER;
    GET|POST|PUT|PATCH "/api/v1/auth/{*}"                 => PUBLIC;
    GET  "/v1/user/login/{*}"                             => PUBLIC;
    GET  "/api/v1/system/config"                          => PUBLIC;
    GET  "/v1/system/config"                              => PUBLIC;
    DELETE "/api/v1/system/tokens/{id}"                   => KEYS;
    DELETE "/v1/system/token/{id}"                        => KEYS;
    POST "/v1/api/rm"                                     => KEYS;
    PUT|PATCH "/api/v1/tenants/{tenant}"                  => MEMBERS;
    DELETE "/api/v1/tenants/{tenant}/users"               => MEMBERS;
    DELETE "/api/v1/tenants/{tenant}/users/{id}"          => MEMBERS;
    PUT  "/v1/tenant/agree/{tenant}"                      => MEMBERS;
    DELETE "/v1/tenant/{tenant}/user/{id}"                => MEMBERS;
    POST "/v1/user/set_tenant_info"                       => FREE;
    ANY  "/api/v1/admin"                                  => ADMIN;
    ANY  "/api/v1/admin/{*}"                              => ADMIN;

    // ── Free: changes of what is there, stops, and reads that are a POST ────────────────────────────
    POST "/api/v1/chats/{dialog}/sessions"                => FREE;
    PUT|PATCH "/api/v1/chats/{dialog}"                    => FREE;
    PUT|PATCH "/api/v1/chats/{dialog}/sessions/{session}" => FREE;
    POST "/api/v1/agents/{agent}/sessions"                => FREE;
    PUT|PATCH "/api/v1/agents/{agent}"                    => FREE;
    PUT|PATCH "/api/v1/searches/{search}"                 => FREE;
    PUT|PATCH "/api/v1/memories/{memory}"                 => FREE;
    PUT|PATCH "/api/v1/datasets/{dataset}"                => FREE;
    PUT|PATCH "/api/v1/datasets/{dataset}/documents/{document}" => FREE;
    POST "/api/v1/datasets/{dataset}/documents/stop"      => FREE;
    PUT|PATCH|POST "/api/v1/tasks/{id}"                   => FREE;
    POST|PUT "/api/v1/tasks/{id}/cancel"                  => FREE;
    POST|PUT "/api/v1/agents/{agent}/cancel"              => FREE;
    POST "/api/v1/files/move"                             => FREE;
    POST "/api/v1/file/mv"                                => FREE;
    POST "/api/v1/file/rename"                            => FREE;
    POST "/api/v1/file/rm"                                => FREE;
    GET  "/api/v1/chatbots/{dialog}/info"                 => FREE_EMBED;
    GET  "/api/v1/agentbots/{agent}/inputs"               => FREE_EMBED;
    GET  "/api/v1/searchbots/detail"                      => FREE_EMBED by Query "search_id" Search;
    GET  "/v1/document/download/{document}"               => FREE;
    GET  "/api/v1/system/healthz"                         => PUBLIC;
    GET  "/v1/system/healthz"                             => PUBLIC;
    PUT  "/v1/canvas/cancel/{id}"                         => FREE;
    POST "/v1/canvas/reset"                               => FREE;
    POST "/v1/canvas/test_db_connect"                     => FREE;
    POST "/api/v1/agents/{agent}/reset"                   => FREE;
    POST "/api/v1/connectors/{id}/resume"                 => FREE;
    PUT|PATCH "/api/v1/connectors/{id}"                   => FREE;
    PUT  "/v1/connector/{id}/resume"                      => FREE;
    POST "/v1/connector/{id}/rm"                          => FREE;
    PUT  "/api/v1/messages/{id}"                          => FREE;
    PUT  "/v1/messages/{id}"                              => FREE;
    PUT  "/v1/memories/{memory}"                          => FREE;
    POST "/v1/evaluation/compare"                         => FREE;
    POST "/v1/canvas/setting"                             => FREE;
    POST "/v1/canvas/rm"                                  => FREE;
    POST "/v1/conversation/set"                           => FREE;
    POST "/v1/conversation/rm"                            => FREE;
    POST "/v1/conversation/delete_msg"                    => FREE;
    POST "/v1/conversation/thumbup"                       => FREE;
    POST "/v1/dialog/next"                                => FREE;
    POST "/v1/dialog/rm"                                  => FREE;
    POST "/v1/kb/update"                                  => FREE;
    POST "/v1/kb/update_metadata_setting"                 => FREE;
    POST "/v1/kb/list"                                    => FREE;
    POST "/v1/kb/rm"                                      => FREE;
    POST "/v1/kb/list_pipeline_logs"                      => FREE;
    POST "/v1/kb/list_pipeline_dataset_logs"              => FREE;
    POST "/v1/kb/delete_pipeline_logs"                    => FREE;
    POST "/v1/kb/{dataset}/rm_tags"                       => FREE;
    POST "/v1/kb/{dataset}/rename_tag"                    => FREE;
    POST "/v1/document/list"                              => FREE;
    POST "/v1/document/filter"                            => FREE;
    POST "/v1/document/infos"                             => FREE;
    POST "/v1/document/rm"                                => FREE;
    POST "/v1/document/rename"                            => FREE;
    POST "/v1/document/change_status"                     => FREE;
    POST "/v1/document/change_parser"                     => FREE;
    POST "/v1/document/set_meta"                          => FREE;
    POST "/v1/chunk/list"                                 => FREE;
    POST "/v1/chunk/switch"                               => FREE;
    POST "/v1/chunk/rm"                                   => FREE;
    POST "/v1/api/list_chunks"                            => FREE;
    POST "/v1/api/list_kb_docs"                           => FREE;
    POST "/v1/api/document/infos"                         => FREE;
    POST "/v1/file/mv"                                    => FREE;
    POST "/v1/file/rename"                                => FREE;
    POST "/v1/file/rm"                                    => FREE;
    POST "/v1/file2document/rm"                           => FREE;
    POST "/v1/search/list"                                => FREE;
    POST "/v1/search/update"                              => FREE;
    POST "/v1/search/rm"                                  => FREE;
    POST "/v1/mcp_server/list"                            => FREE;
    POST "/v1/mcp_server/update"                          => FREE;
    POST "/v1/mcp_server/rm"                              => FREE;
};
