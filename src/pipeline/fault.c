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
		  "cannot make the spool %s durable: %s, and a sync that failed cannot be tried "
		  "again%s; %s, what came after it may not be",
		  path, strerror(-error), advice(error), what);
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

/* Nobody can tell from what is left which of both it was. */
static void describe_cut(char text[FAULT_MESSAGE_SIZE], const char *path,
			 const struct recover_news *news)
{
	char kept[80] = "there was no room to keep them";

	if (news->kept > 0)
		snprintf(kept, sizeof(kept), "%s in %020" PRIu64 ".data.cut until the next start",
			 news->kept < news->bytes ? "the first 16 MiB are" : "they are",
			 news->first_seq);
	snprintf(text, FAULT_MESSAGE_SIZE,
		 "the spool %s: no entry speaks of %" PRIu64 " bytes at the beginning of segment "
		 "%" PRIu64 ", which a death alone leaves of messages that were not captured yet, "
		 "and a loss of power also of others; %s",
		 path, news->bytes, news->first_seq, kept);
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
	case RECOVER_CUT:
		return describe_cut(text, path, news);
	}
}
