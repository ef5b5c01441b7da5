/*
 * libcurl's codes say which step failed, and only some of them whether it was the proxy's or the
 * server's. Its sentences are shown and, where no code tells them apart, looked into: that decides
 * no more than which words go with them, and whether it is tried again.
 */
#include "websocket/dial_error.h"

#include "base/macro.h"

#include <errno.h>
#include <string.h>

bool transport_error_is_passing(enum transport_error error)
{
	switch (error) {
	case TRANSPORT_RESOLVE:
	case TRANSPORT_CONNECT:
	case TRANSPORT_BROKEN:
	case TRANSPORT_PROXY_RESOLVE:
	case TRANSPORT_PROXY_CONNECT:
	case TRANSPORT_PROXY_FAILED:
		return true;
	default:
		return false;
	}
}

/* Whether the last address that was tried is the proxy's. Where it has the same port as the
 * server, libcurl's words name the one that was tried. */
static bool went_to_proxy(const struct transport_options *options, const struct dial_trace *trace)
{
	const struct proxy *proxy = options->unix_socket ? NULL : options->proxy;
	const char *colon = proxy ? strrchr(proxy->name, ':') : NULL;
	char host[256];

	if (!colon || strtoul(colon + 1, NULL, 10) != trace->port)
		return false;
	if (trace->port != options->url->port)
		return true;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - proxy->name), proxy->name);
	return strstr(trace->words, host);
}

static long info(CURL *easy, CURLINFO which)
{
	long number = 0;

	return curl_easy_getinfo(easy, which, &number) == CURLE_OK ? number : 0;
}

/* What a proxy answered to CONNECT. 401 is no proxy's to say, and tinyproxy says it. */
static enum transport_error classify_status(long status)
{
	if (status == 407 || status == 401)
		return TRANSPORT_PROXY_AUTH;
	return status >= 500 || status == 408 || status == 429 ? TRANSPORT_PROXY_FAILED
							       : TRANSPORT_PROXY_REFUSED;
}

/* What a SOCKS proxy answered. */
static enum transport_error classify_socks(long answer)
{
	switch (answer) {
	case CURLPX_NO_AUTH:
	case CURLPX_USER_REJECTED:
	case CURLPX_LONG_USER:
	case CURLPX_LONG_PASSWD:
	case CURLPX_IDENTD:
	case CURLPX_IDENTD_DIFFER:
		return TRANSPORT_PROXY_AUTH;
	case CURLPX_BAD_ADDRESS_TYPE:
	case CURLPX_BAD_VERSION:
	case CURLPX_LONG_HOSTNAME:
	case CURLPX_REPLY_ADDRESS_TYPE_NOT_SUPPORTED:
	case CURLPX_REPLY_COMMAND_NOT_SUPPORTED:
	case CURLPX_REPLY_NOT_ALLOWED:
	case CURLPX_UNKNOWN_MODE:
		return TRANSPORT_PROXY_REFUSED;
	default:
		return TRANSPORT_PROXY_FAILED;
	}
}

/* A handshake that did not come to its end: because of what one side wants, or of the network. */
static enum transport_error classify_handshake(const char *words)
{
	return strstr(words, "unexpected eof") || strstr(words, "SYSCALL") ||
			       strstr(words, "reset by peer")
		       ? TRANSPORT_BROKEN
		       : TRANSPORT_TLS;
}

static enum transport_error classify_direct(CURLcode code, const char *words)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return TRANSPORT_RESOLVE;
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
		return TRANSPORT_CONNECT;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
		return TRANSPORT_BROKEN;
	case CURLE_SSL_CONNECT_ERROR:
		return classify_handshake(words);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return TRANSPORT_UNTRUSTED;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_BAD_FUNCTION_ARGUMENT:
		return TRANSPORT_TLS_FILE;
	default:
		return TRANSPORT_OTHER;
	}
}

static enum transport_error of_proxy(enum transport_error error)
{
	switch (error) {
	case TRANSPORT_RESOLVE:
		return TRANSPORT_PROXY_RESOLVE;
	case TRANSPORT_CONNECT:
		return TRANSPORT_PROXY_CONNECT;
	case TRANSPORT_BROKEN:
		return TRANSPORT_PROXY_FAILED;
	case TRANSPORT_UNTRUSTED:
	case TRANSPORT_TLS:
		return TRANSPORT_PROXY_TLS;
	default:
		return error;
	}
}

/* With a tunnel up, what goes wrong is between us and the server. */
static enum transport_error classify(CURL *easy, CURLcode code,
				     const struct transport_options *options,
				     const struct dial_trace *trace)
{
	enum transport_error error = classify_direct(code, trace->words);
	long status = info(easy, CURLINFO_HTTP_CONNECTCODE);
	bool socks = options->proxy && strncmp(options->proxy->url, "socks", 5) == 0;

	if (code == CURLE_COULDNT_RESOLVE_PROXY)
		return TRANSPORT_PROXY_RESOLVE;
	if (code == CURLE_PROXY)
		return classify_socks(info(easy, CURLINFO_PROXY_ERROR));
	if (!went_to_proxy(options, trace) || status / 100 == 2)
		return error;
	if (status > 0)
		return classify_status(status);
	/* Once TLS has begun behind a SOCKS proxy, the tunnel is up. */
	return socks && error != TRANSPORT_CONNECT ? error : of_proxy(error);
}

/* Why nobody answered, in the system's words when there are any: libcurl's say where, not why. */
static const char *reason(CURL *easy, CURLcode code, const struct transport_options *options,
			  const struct dial_trace *trace)
{
	long number = info(easy, CURLINFO_OS_ERRNO);

	if (code == CURLE_COULDNT_CONNECT && number == 0 && options->family != TRANSPORT_ANY)
		return options->family == TRANSPORT_IPV4 ? "it has no IPv4 address"
							 : "it has no IPv6 address";

	if ((code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT) && number > 0)
		return strerror((int)number);
	return trace->words[0] ? trace->words : curl_easy_strerror(code);
}

struct dial_error dial_error_classify(CURL *easy, CURLcode code,
				      const struct transport_options *options,
				      const struct dial_trace *trace)
{
	struct dial_error error = {.error = classify(easy, code, options, trace)};
	long status = info(easy, CURLINFO_HTTP_CONNECTCODE);
	bool proxy = error.error >= TRANSPORT_PROXY_RESOLVE && error.error <= TRANSPORT_PROXY_TLS;
	const char *place = proxy ? options->proxy->name : options->unix_socket;

	if (proxy && status > 0)
		snprintf(error.detail, sizeof(error.detail), "%s: it answered %ld",
			 options->proxy->name, status);
	else
		snprintf(error.detail, sizeof(error.detail), "%s%s%s", place ? place : "",
			 place ? ": " : "", reason(easy, code, options, trace));
	return error;
}
