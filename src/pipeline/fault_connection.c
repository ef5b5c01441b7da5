/*
 * Why there is no connection, or none any more. What the server says and what the system calls it
 * are told as they are; what can be done about it is said where somebody can do something.
 */
#include "pipeline/fault.h"

#include <errno.h>
#include <string.h>

#define URL_SHOWN_MAX 200

/* What is said of a connection that was not made: what failed, and behind libcurl's words what can
 * be done. */
static const struct {
	const char *what, *advice;
} dial_words[] = {
	[TRANSPORT_RESOLVE] = {"the host name cannot be resolved",
			       "; check its spelling and the network"},
	[TRANSPORT_CONNECT] = {"nobody answers there", "; check that the server is running"},
	[TRANSPORT_BROKEN] = {"the connection broke while it was being made", ""},
	[TRANSPORT_UNTRUSTED] = {"the certificate of the server is not to be trusted",
				 "; --cacert names a file with an authority of your own"},
	[TRANSPORT_TLS] =
		{"the TLS handshake failed",
		 "; the server has to speak TLS 1.2 or later there, and may want a certificate of "
		 "ours (--cert)"},
	[TRANSPORT_TLS_FILE] = {"a file for TLS cannot be used",
				"; check --cacert, --cert and --key, and the password of the key"},
	[TRANSPORT_PROXY_RESOLVE] = {"the name of the proxy cannot be resolved",
				     "; check --proxy and the environment"},
	[TRANSPORT_PROXY_CONNECT] = {"nobody answers at the proxy",
				     "; check --proxy and the environment"},
	[TRANSPORT_PROXY_AUTH] = {"the proxy wants a user and password, or others",
				  "; --proxy-user-file names a file with them"},
	[TRANSPORT_PROXY_REFUSED] = {"the proxy refuses this connection",
				     "; ask who runs it, or go around it with --no-proxy"},
	[TRANSPORT_PROXY_FAILED] = {"the proxy could not connect to the server", ""},
	[TRANSPORT_PROXY_TLS] = {"no encrypted connection with the proxy",
				 "; --cacert names a file with an authority of your own"},
	[TRANSPORT_OTHER] = {"libcurl cannot do it", ""},
};

static bool is_tls(const char *url)
{
	return strncmp(url, "wss:", 4) == 0;
}

/* A server that does not expect TLS often just hangs up on who speaks it. */
static const char *dial_advice(const char *url, enum transport_error error)
{
	if (error == TRANSPORT_BROKEN && is_tls(url))
		return "; perhaps it does not speak TLS there (ws://)";
	return dial_words[error].advice;
}

static void set_dial(struct fault *fault, const char *url, const struct client_end *end)
{
	fault_set(fault, WEIR_NOT_CONNECTED, "cannot connect to %s: %s (%s)%s", url,
		  dial_words[end->transport_error].what, end->detail,
		  dial_advice(url, end->transport_error));
}

/* Why a stream ended, in plain words where the system's would mislead. */
static const char *stream_error(int error)
{
	switch (error) {
	case 0:
		return "the server ended the stream without a Close";
	case -EKEYREJECTED:
		return "the server wants a certificate that it trusts; --cert names ours";
	case -EPROTO:
		return "what came cannot be decrypted";
	default:
		return strerror(-error);
	}
}

/* How the server answered, where it was not the status. */
static const char *refusal(const struct client_end *end)
{
	if (end->handshake_error == HANDSHAKE_EXTENSION)
		return extension_error_text(end->response.extension_error);
	return handshake_error_text(end->handshake_error);
}

/* How much of a Location is shown; 0: nothing. A query may hold a secret, and a user name and
 * password are somebody's. */
static int shown_size(const struct handshake_response *response)
{
	size_t size = strcspn(response->location, "?#");

	return memchr(response->location, '@', size) ? 0 : (int)size;
}

static void set_not_followed(struct fault *fault, const char *url, const struct client_end *end)
{
	const struct handshake_response *response = &end->response;
	int size = shown_size(response);

	fault_set(fault, WEIR_NOT_CONNECTED,
		  "%s redirects: the server answered %d %s%s%.*s; that is not followed, since the "
		  "redirect %s",
		  url, response->status, response->reason, size > 0 ? ", to " : "", size,
		  response->location, redirect_error_text(end->redirect_error));
}

/* What can be done about an answer. Nothing, where it says "not now". */
static const char *status_advice(int status)
{
	switch (status) {
	case 401:
		return "; check the credentials: --bearer-file, --basic-file, --token-command";
	case 403:
		return "; check the credentials, --origin, and whether a --header is missing";
	case 404:
	case 410:
		return "; check the path";
	case 408:
	case 425:
	case 429:
		return "";
	default:
		return status >= 500 ? "" : "; check the path, and whether a --header is missing";
	}
}

static void set_refused(struct fault *fault, const char *url, const struct client_end *end)
{
	const struct handshake_response *response = &end->response;

	if (end->handshake_error != HANDSHAKE_STATUS)
		fault_set(fault, WEIR_NOT_CONNECTED, "no WebSocket at %s: the server %s", url,
			  refusal(end));
	else if (end->redirect_error)
		set_not_followed(fault, url, end);
	else if (response->status >= 300 && response->status <= 399 && shown_size(response) > 0)
		fault_set(fault, WEIR_NOT_CONNECTED,
			  "%s redirects: the server answered %d %s, to %.*s; give that URL if "
			  "you trust it, or --follow-redirects",
			  url, response->status, response->reason, shown_size(response),
			  response->location);
	else
		fault_set(fault, WEIR_NOT_CONNECTED,
			  "no WebSocket at %s: the server answered %d %s instead of 101 Switching "
			  "Protocols%s",
			  url, response->status, response->reason, status_advice(response->status));
}

static void set_lost(struct fault *fault, const char *url, const struct client_end *end)
{
	const char *why = stream_error(end->error);

	if (end->cut)
		fault_set(
			fault, WEIR_BROKEN,
			"lost the connection to %s in the middle of a message: %s; the %llu bytes "
			"that had come of it do not count",
			url, why, (unsigned long long)end->cut_bytes);
	else
		fault_set(fault, WEIR_BROKEN, "lost the connection to %s: %s", url, why);
}

static void set_closed(struct fault *fault, const char *url, const struct client_end *end)
{
	uint16_t code = end->close_code;

	if (code == 1000 || code == 1001 || code == 1005)
		return;
	fault_set(fault, WEIR_BROKEN, "%s closed the connection with code %u%s%s", url, code,
		  end->detail[0] ? ": " : "", end->detail);
}

/* With TLS 1.3 a server that misses our certificate can say so only after the handshake of TLS; and
 * of what it says then, a reset that comes behind it may leave nothing. A server that expects TLS
 * often just hangs up on who does not speak it. */
static void set_hangup(struct fault *fault, const char *url, const struct client_end *end)
{
	fault_set(fault, WEIR_NOT_CONNECTED,
		  "no WebSocket at %s: the server hung up during the handshake%s%s%s", url,
		  end->error < 0 ? ": " : "", end->error < 0 ? stream_error(end->error) : "",
		  !is_tls(url) ? "; perhaps it speaks TLS there (wss://)"
		  : end->error != -EKEYREJECTED
			  ? "; perhaps it wants a certificate of ours (--cert)"
			  : "");
}

static void set_opening(struct fault *fault, const char *url, const struct client_end *end)
{
	if (end->error == -ECONNREFUSED)
		fault_set(fault, WEIR_BROKEN,
			  "%s closed the connection with code %u before the script was through: %s",
			  url, end->close_code, end->detail);
	else
		fault_set(fault, WEIR_BROKEN, "%s was left again: %s", url, end->detail);
}

/* The limits are ours: a server that goes beyond one has done nothing that RFC 6455 forbids. */
static void set_violated(struct fault *fault, const char *url, enum frame_violation violation)
{
	bool limit = violation == FRAME_MESSAGE_TOO_LARGE ||
		     violation == FRAME_TOO_MANY_FRAGMENTS || violation == FRAME_RATIO_TOO_LARGE;

	fault_set(fault, WEIR_BROKEN, "%s %s: the server sent %s; what came before it is captured",
		  url, limit ? "went beyond a limit" : "broke the WebSocket protocol",
		  frame_violation_text(violation));
}

static void set_connection(struct fault *fault, const char *url, const struct client_end *end)
{
	switch (end->kind) {
	case CLIENT_DIAL:
		return set_dial(fault, url, end);
	case CLIENT_REFUSED:
		return set_refused(fault, url, end);
	case CLIENT_TIMEOUT:
		return fault_set(fault, WEIR_NOT_CONNECTED,
				 "cannot connect to %s: no answer in time; --connect-timeout gives "
				 "it longer",
				 url);
	case CLIENT_HANGUP:
		return set_hangup(fault, url, end);
	case CLIENT_VIOLATED:
		return set_violated(fault, url, end->violation);
	case CLIENT_SILENT:
		return fault_set(fault, WEIR_BROKEN,
				 "lost the connection to %s: it did not answer a ping in time",
				 url);
	case CLIENT_IDLE:
		return fault_set(fault, WEIR_BROKEN,
				 "lost the connection to %s: it sent no message within "
				 "--idle-timeout",
				 url);
	case CLIENT_UNPREPARED:
		return fault_set(fault, WEIR_NOT_CONNECTED, "cannot connect to %s: %s", url,
				 end->detail);
	case CLIENT_OPENING:
		return set_opening(fault, url, end);
	case CLIENT_LOST:
		return set_lost(fault, url, end);
	case CLIENT_CLOSED:
		return set_closed(fault, url, end);
	case CLIENT_CLOSE_TIMEOUT:
		return;
	}
}

/* The beginning of a long URL says which one it is; all of it would hide the rest. */
void fault_set_connection(struct fault *fault, const char *url, const struct client_end *end)
{
	char shown[2 * URL_SHOWN_MAX + sizeof("... (redirected to ...)")];
	const char *place = end->place;
	int n = snprintf(shown, sizeof(shown), "%.*s%s", URL_SHOWN_MAX, url,
			 strlen(url) > URL_SHOWN_MAX ? "..." : "");

	if (*place)
		snprintf(shown + n, sizeof(shown) - (size_t)n, " (redirected to %.*s%s)",
			 URL_SHOWN_MAX, place, strlen(place) > URL_SHOWN_MAX ? "..." : "");
	set_connection(fault, shown, end);
}
