/*
 * Everything that weakens the connection is left out unless it was asked for by its name:
 * certificates are verified, TLS is 1.2 or later, only HTTP/1.1 is offered, and no redirect, no
 * netrc file and no environment (but no_proxy) has a say.
 */
#include "websocket/dial_options.h"

#include "base/macro.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

/* Goes on from the first failure to the end without doing anything. */
#define SET(code, easy, option, value)                                                             \
	do {                                                                                       \
		if ((code) == CURLE_OK)                                                            \
			(code) = curl_easy_setopt(easy, option, value);                            \
	} while (0)

/* CURLOPT_OPENSOCKETFUNCTION: no program that is started gets the connection. The port tells
 * whether it was to a proxy. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct dial_trace *trace = data;

	(void)purpose;
	if (address->family == AF_INET)
		trace->port = ntohs(((struct sockaddr_in *)(void *)&address->addr)->sin_port);
	else if (address->family == AF_INET6)
		trace->port = ntohs(((struct sockaddr_in6 *)(void *)&address->addr)->sin6_port);
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode set_basics(CURL *easy, struct dial_trace *trace)
{
	CURLcode code = CURLE_OK;

	SET(code, easy, CURLOPT_ERRORBUFFER, trace->words);
	SET(code, easy, CURLOPT_CONNECT_ONLY, 1L);
	SET(code, easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(code, easy, CURLOPT_NOSIGNAL, 1L);
	SET(code, easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name look-up */
	SET(code, easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(code, easy, CURLOPT_OPENSOCKETDATA, trace);
	return code;
}

static CURLcode set_address(const struct transport_options *options, CURL *easy)
{
	static const long families[] = {
		[TRANSPORT_ANY] = CURL_IPRESOLVE_WHATEVER,
		[TRANSPORT_IPV4] = CURL_IPRESOLVE_V4,
		[TRANSPORT_IPV6] = CURL_IPRESOLVE_V6,
	};
	const char *path = options->unix_socket;
	CURLcode code = CURLE_OK;

	SET(code, easy, CURLOPT_URL, options->url->dial);
	SET(code, easy, CURLOPT_IPRESOLVE, families[options->family]);
	if (path && path[0] == '@')
		SET(code, easy, CURLOPT_ABSTRACT_UNIX_SOCKET, path + 1);
	else if (path)
		SET(code, easy, CURLOPT_UNIX_SOCKET_PATH, path);
	return code;
}

static CURLcode set_tls(const struct transport_options *options, CURL *easy)
{
	CURLcode code = CURLE_OK;

	SET(code, easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(code, easy, CURLOPT_SSL_VERIFYPEER, options->insecure ? 0L : 1L);
	SET(code, easy, CURLOPT_SSL_VERIFYHOST, options->insecure ? 0L : 2L);
	if (options->cacert) {
		SET(code, easy, CURLOPT_CAINFO, options->cacert);
		SET(code, easy, CURLOPT_CAPATH, NULL); /* it alone */
	}
	if (!options->cert)
		return code;
	SET(code, easy, CURLOPT_SSLCERT, options->cert);
	SET(code, easy, CURLOPT_SSLKEY, options->key ? options->key : options->cert);
	/* Without one, the TLS library would ask for it on the terminal. */
	SET(code, easy, CURLOPT_KEYPASSWD, options->key_password ? options->key_password : "");
	return code;
}

/* A proxy that is spoken to encrypted is verified in any case. */
static CURLcode set_proxy_tls(const struct transport_options *options, CURL *easy)
{
	CURLcode code = CURLE_OK;

	SET(code, easy, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (options->cacert) {
		SET(code, easy, CURLOPT_PROXY_CAINFO, options->cacert);
		SET(code, easy, CURLOPT_PROXY_CAPATH, NULL);
	}
	return code;
}

static CURLcode set_proxy(const struct transport_options *options, CURL *easy)
{
	const struct proxy *proxy = options->unix_socket ? NULL : options->proxy;
	CURLcode code = CURLE_OK;

	SET(code, easy, CURLOPT_PROXY, proxy ? proxy->url : ""); /* "": not the environment's */
	if (!proxy || code != CURLE_OK)
		return code;
	SET(code, easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	SET(code, easy, CURLOPT_PROXYAUTH, (long)(CURLAUTH_BASIC | CURLAUTH_DIGEST));
	SET(code, easy, CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
	SET(code, easy, CURLOPT_PROXYUSERNAME, proxy->user);
	SET(code, easy, CURLOPT_PROXYPASSWORD, proxy->password);
	SET(code, easy, CURLOPT_NOPROXY, options->no_proxy);
	return code == CURLE_OK && proxy->tls ? set_proxy_tls(options, easy) : code;
}

int dial_options_apply(const struct transport_options *options, CURL *easy,
		       struct dial_trace *trace)
{
	CURLcode code = set_basics(easy, trace);

	if (code == CURLE_OK)
		code = set_address(options, easy);
	if (code == CURLE_OK && options->url->tls)
		code = set_tls(options, easy);
	if (code == CURLE_OK)
		code = set_proxy(options, easy);
	if (code == CURLE_OK)
		return 0;
	return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -ENOTSUP;
}
