/*
 * Each option is checked by itself, then against the others: what cannot be meant is better refused
 * than ignored, most of all where it is about whom to trust. No message repeats a text in which a
 * password could be.
 */
#include "pipeline/route.h"

#include "base/macro.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define PROXY_FORM "[http|https|socks5|socks5h://]HOST[:PORT]"

static bool is_one_line(const char *text)
{
	return !text || !text[strcspn(text, "\r\n")];
}

static bool is_empty(const char *text)
{
	return text && !*text;
}

static void check_lines(const struct weir_source *options, struct fault *fault)
{
	const char *const texts[] = {
		options->cacert,     options->cert,	options->key,	      options->key_password,
		options->proxy_user, options->no_proxy, options->unix_socket,
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!is_one_line(texts[i]))
			fault_set(fault, WEIR_USAGE,
				  "no option of the connection may have a line break in it");
}

/* libcurl reads it when the server has answered, which may be never. */
static void check_file(const char *option, const char *path, struct fault *fault)
{
	if (path && access(path, R_OK) < 0)
		fault_set(fault, WEIR_USAGE, "%s: %s cannot be read: %s", option, path,
			  strerror(errno));
}

static void check_tls(const struct weir_source *options, struct fault *fault)
{
	if (options->key && !options->cert)
		fault_set(fault, WEIR_USAGE, "--key belongs to a certificate: --cert names it");
	if (options->key_password && !options->cert)
		fault_set(fault, WEIR_USAGE,
			  "the password of a key was given, and no --cert to use the key with");
	if (options->insecure && options->cacert)
		fault_set(fault, WEIR_USAGE,
			  "--insecure trusts everybody, --cacert one authority: only one of them "
			  "can be meant");
	if (is_empty(options->cacert) || is_empty(options->cert) || is_empty(options->key))
		fault_set(fault, WEIR_USAGE, "--cacert, --cert and --key take the path of a file");
	check_file("--cacert", options->cacert, fault);
	check_file("--cert", options->cert, fault);
	check_file("--key", options->key, fault);
}

static void check_unix_socket(const struct weir_source *options, struct fault *fault)
{
	const char *path = options->unix_socket;

	if (!path)
		return;
	if (!*path || strcmp(path, "@") == 0)
		fault_set(fault, WEIR_USAGE, "--unix-socket takes a path, or @NAME");
	if (strlen(path) > SOCKET_PATH_MAX)
		fault_set(fault, WEIR_USAGE,
			  "--unix-socket: a path of a socket has %zu bytes at most; this one has "
			  "%zu",
			  SOCKET_PATH_MAX, strlen(path));
	if ((options->proxy && *options->proxy) || options->proxy_user)
		fault_set(fault, WEIR_USAGE,
			  "--unix-socket is reached without a proxy: --proxy and "
			  "--proxy-user-file do not go with it");
	if (options->family != WEIR_ANY_FAMILY)
		fault_set(
			fault, WEIR_USAGE,
			"--unix-socket is no address of the Internet: --ipv4 and --ipv6 do not go "
			"with it");
}

static void say_proxy(struct fault *fault, const char *where, int error)
{
	if (error == PROXY_SCHEME)
		fault_set(fault, WEIR_USAGE,
			  "%s names a proxy of an unknown kind: it takes " PROXY_FORM, where);
	else
		fault_set(fault, WEIR_USAGE, "%s is malformed: it takes " PROXY_FORM, where);
}

/* From the environment, where user and password may stand in the URL. */
static int find_proxy(struct proxy *proxy, bool tls, struct fault *fault)
{
	const char *name = proxy_variable(tls);
	char where[64];
	int r = name ? proxy_parse(getenv(name), proxy) : 0;

	if (r <= 0)
		return r;
	snprintf(where, sizeof(where), "$%s in the environment", name);
	say_proxy(fault, where, r);
	return 0;
}

/* As an argument, everybody on the machine could read the password. */
static int take_proxy(struct route *route, const char *text, struct fault *fault)
{
	int r = *text ? proxy_parse(text, &route->proxy) : 0;

	if (r < 0)
		return r;
	if (r > 0)
		say_proxy(fault, "--proxy", r);
	else if (route->proxy.user)
		fault_set(fault, WEIR_USAGE,
			  "--proxy holds a user name or password, which do not belong on a command "
			  "line: put them into a file for --proxy-user-file, or the whole URL into "
			  "the environment ($https_proxy)");
	return 0;
}

/* The environment names one for each scheme, and a redirect can lead from one to the other. */
static int find_proxies(struct route *route, const struct weir_source *options,
			const struct url *url, struct fault *fault)
{
	int r = find_proxy(&route->proxy, url->tls, fault);

	if (r < 0 || url->tls || !options->follow_redirects)
		return r;
	r = find_proxy(&route->other_proxy, true, fault);
	if (r >= 0 && route->other_proxy.url && options->proxy_user)
		r = proxy_set_user(&route->other_proxy, options->proxy_user);
	route->tls_proxy = route->other_proxy.url ? &route->other_proxy : NULL;
	return MIN(r, 0); /* what is wrong with the user is told with the first one */
}

static int set_user(struct route *route, const char *user, struct fault *fault)
{
	int r;

	if (!route->proxy.url) {
		fault_set(fault, WEIR_USAGE,
			  "--proxy-user-file was given, and there is no proxy: --proxy names it");
		return 0;
	}
	r = proxy_set_user(&route->proxy, user);
	if (r > 0)
		fault_set(fault, WEIR_USAGE, "--proxy-user-file holds no line USER:PASSWORD");
	return MIN(r, 0);
}

int route_set(struct route *route, const struct weir_source *options, const struct url *url,
	      struct fault *fault)
{
	int r = 0;

	check_lines(options, fault);
	check_tls(options, fault);
	check_unix_socket(options, fault);
	route->transport = (struct transport_options){
		.url = url,
		.no_proxy = options->no_proxy,
		.unix_socket = options->unix_socket,
		.family = (enum transport_family)options->family,
		.cacert = options->cacert,
		.cert = options->cert,
		.key = options->key,
		.key_password = options->key_password,
		.insecure = options->insecure,
	};
	if (options->proxy)
		r = take_proxy(route, options->proxy, fault);
	else if (!options->unix_socket)
		r = find_proxies(route, options, url, fault);
	if (r >= 0 && options->proxy_user)
		r = set_user(route, options->proxy_user, fault);
	if (route->proxy.url)
		route->transport.proxy = &route->proxy;
	if (options->proxy || url->tls)
		route->tls_proxy = route->transport.proxy;
	return r;
}

void route_done(struct route *route)
{
	proxy_done(&route->proxy);
	proxy_done(&route->other_proxy);
}
