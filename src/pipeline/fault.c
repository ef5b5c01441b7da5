/*
 * The one place where sentences are made. Everything below hands up codes; here it is known what
 * was attempted, on what, and what somebody can do about it.
 */
#include "pipeline/fault.h"

#include "base/macro.h"
#include "spool/codec.h"
#include "spool/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define URL_SHOWN_MAX 200

void fault_set(struct fault *fault, enum weir_outcome outcome, const char *format, ...)
{
	va_list arguments;

	if (outcome <= fault->outcome)
		return;
	fault->outcome = outcome;
	va_start(arguments, format);
	vsnprintf(fault->message, sizeof(fault->message), format, arguments);
	va_end(arguments);
}

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

static void set_dial(struct fault *fault, const char *url, const struct client_end *end)
{
	fault_set(fault, WEIR_NOT_CONNECTED, "cannot connect to %s: %s (%s)%s", url,
		  dial_words[end->transport_error].what, end->detail,
		  dial_words[end->transport_error].advice);
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
	bool tls = strncmp(url, "wss:", 4) == 0;

	fault_set(fault, WEIR_NOT_CONNECTED,
		  "no WebSocket at %s: the server hung up during the handshake%s%s%s", url,
		  end->error < 0 ? ": " : "", end->error < 0 ? stream_error(end->error) : "",
		  !tls ? "; perhaps it speaks TLS there (wss://)"
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

static const char *advice(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM:
	case EROFS:
		return "; choose another directory with --dir or --spool";
	case ENOSPC:
	case EDQUOT:
		return "; free some space, or choose another disk with --dir or --spool";
	case ENOENT:
		return "; make the directory first, or choose another one";
	case EMFILE:
		return "; raise the limit of open files (ulimit -n)";
	default:
		return "";
	}
}

struct fault_rest fault_rest(const struct weir_capture_options *options, const char *path)
{
	if (options->ephemeral)
		return (struct fault_rest){"is gone, since the capture was --ephemeral", ""};
	return (struct fault_rest){"is left in the spool ", path};
}

/* Who has the spool, as far as it can be found out. */
static void set_owned(struct fault *fault, const char *path)
{
	CLEANUP_FD int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct owner owner = {0};
	char who[48] = "another process", where[OWNER_HOST_SIZE + 8] = "", since[48] = "";
	struct tm parts;
	time_t time;

	if (dir_fd >= 0)
		owner_probe(dir_fd, &owner);
	time = (time_t)owner.since_s;
	if (owner.pid > 0)
		snprintf(who, sizeof(who), "process %d", (int)owner.pid);
	if (owner.host[0])
		snprintf(where, sizeof(where), " on %s", owner.host);
	if (time > 0 && gmtime_r(&time, &parts))
		strftime(since, sizeof(since), " since %Y-%m-%d %H:%M:%S UTC", &parts);
	fault_set(fault, WEIR_STORAGE,
		  "the spool %s is in use by %s%s%s; wait for it to end, or choose another spool",
		  path, who, where, since);
}

void fault_set_spool(struct fault *fault, const struct weir_capture_options *options, int error)
{
	const char *path = options->spool ? options->spool : options->dir;

	if (error == -EWOULDBLOCK)
		set_owned(fault, path);
	else if (error == -EMEDIUMTYPE)
		fault_set(fault, WEIR_STORAGE,
			  "%s is not a spool: it holds other files, or its \"lock\" is no regular "
			  "file; choose an empty or a new directory",
			  path);
	else if (error == -EPROTO)
		fault_set(
			fault, WEIR_STORAGE,
			"the spool %s was written by another version of weir%s, and nothing in it "
			"was touched; go on with that version, or choose another spool",
			path, codec_exists() ? "" : ", or by one that has libzstd");
	else if (error == -EOPNOTSUPP && options->sync != WEIR_SYNC_NONE)
		fault_set(fault, WEIR_STORAGE,
			  "%s is in memory (tmpfs), and nothing there survives a loss of power, "
			  "whatever --sync says; choose a disk with --dir or --spool",
			  path ? path : "the directory for temporary files");
	else if (error == -EINVAL && !options->spool)
		fault_set(fault, WEIR_USAGE,
			  "--prefix and --suffix are parts of a name: they may "
			  "not hold \"/\" or be \"..\"");
	else
		fault_set(fault, WEIR_STORAGE, "cannot %s in %s: %s%s",
			  options->ephemeral ? "make files without names" : "open a spool",
			  path ? path : "the directory for temporary files", strerror(-error),
			  advice(error));
}

/* What is missing, and what helps. */
static const struct {
	const char *what, *advice;
} lacks[] = {
	[SPOOL_LACKS_NOTHING] = {"no space is left on the disk", "free some space"},
	[SPOOL_LACKS_CAP] = {"--disk-max is reached", "raise --disk-max, or process what is there"},
	[SPOOL_LACKS_DISK] = {"no space is left on the disk",
			      "free some, or choose another disk with --dir or --spool"},
	[SPOOL_LACKS_QUOTA] = {"the disk quota is used up",
			       "free some space, or choose another disk with --dir or --spool"},
	[SPOOL_LACKS_FREE] = {"no more than --min-free is left on the disk",
			      "free some space, or lower --min-free"},
	[SPOOL_LACKS_DESCRIPTORS] = {"no more descriptors can be had",
				     "raise the limit of open files (ulimit -n), make larger "
				     "segments, or process what is there"},
};

void fault_set_full(struct fault *fault, const char *path, enum spool_lack lack,
		    const char *meaning)
{
	fault_set(fault, WEIR_STORAGE, "%s for the spool %s, and %s; %s", lacks[lack].what, path,
		  meaning, lacks[lack].advice);
}

void fault_set_storage(struct fault *fault, const struct weir_capture_options *options,
		       const char *path, int error)
{
	if (options->ephemeral)
		return fault_set(fault, WEIR_STORAGE,
				 "cannot write to a file without a name in %s: %s%s; what was "
				 "captured before is processed all the same",
				 path, strerror(-error), advice(error));
	if (error == -ENOENT && access(path, F_OK) < 0)
		return fault_set(fault, WEIR_STORAGE,
				 "the spool %s is gone: somebody deleted it, and with it what was "
				 "captured and not yet processed",
				 path);
	if (error == -EOVERFLOW)
		return fault_set(fault, WEIR_STORAGE,
				 "the sequence numbers of the spool %s are used up, by what its "
				 "file \"lock\" says, so that nothing more can be captured into "
				 "it; choose another spool, or write one anew with weir salvage",
				 path);
	fault_set(fault, WEIR_STORAGE,
		  "cannot write to the spool %s: %s%s; everything captured before is safe", path,
		  strerror(-error), advice(error));
}

void fault_set_sync(struct fault *fault, const char *path, int error, uint64_t end_seq)
{
	char what[64] = "no record in it is known to be durable";

	if (end_seq > 0)
		snprintf(what, sizeof(what), "everything up to record %llu is durable",
			 (unsigned long long)end_seq - 1);
	fault_set(fault, WEIR_STORAGE,
		  "cannot make the spool %s durable: %s%s; %s, what came after it may not be", path,
		  strerror(-error), advice(error), what);
}

static void describe_mended(char text[FAULT_MESSAGE_SIZE], const char *path,
			    const struct recover_news *news)
{
	const char *s = news->records == 1 ? "" : "s";

	if (news->records > 0)
		snprintf(text, FAULT_MESSAGE_SIZE,
			 "the spool %s: %" PRIu64 " record%s of segment %" PRIu64
			 " %s damaged; a gap "
			 "stands in the place of each, all others are there, and the damaged files "
			 "are kept under the ending .aside",
			 path, news->records, s, news->first_seq, *s ? "are" : "is");
	else
		snprintf(text, FAULT_MESSAGE_SIZE,
			 "the spool %s: segment %" PRIu64
			 " was damaged, but no record of it; it was "
			 "written anew, and the damaged files are kept under the ending .aside",
			 path, news->first_seq);
}

void fault_describe_found(char text[FAULT_MESSAGE_SIZE], const char *path,
			  const struct recover_news *news)
{
	const char *s = news->records == 1 ? "" : "s";

	switch (news->kind) {
	case RECOVER_LOST:
		snprintf(
			text, FAULT_MESSAGE_SIZE,
			"the spool %s: the last %" PRIu64 " record%s of segment %" PRIu64
			" had been captured and %s lost, as by a loss of power; a gap says so, and "
			"what was left is kept under the ending .cut",
			path, news->records, s, news->first_seq, *s ? "are" : "is");
		return;
	case RECOVER_MENDED:
		return describe_mended(text, path, news);
	case RECOVER_ASIDE:
		snprintf(text, FAULT_MESSAGE_SIZE,
			 "the spool %s: nothing can be made of what is called %020" PRIu64
			 ".*; it is kept under the ending .aside",
			 path, news->first_seq);
		return;
	case RECOVER_LEFT:
		snprintf(text, FAULT_MESSAGE_SIZE,
			 "the spool %s: segment %" PRIu64
			 " is damaged and cannot be mended now: %s; it is left as it is",
			 path, news->first_seq, strerror(-news->error));
		return;
	}
}
