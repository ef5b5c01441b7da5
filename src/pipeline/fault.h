/* What went wrong in a capture: which outcome it makes, and the sentence for people. */
#ifndef WEIR_PIPELINE_FAULT_H
#define WEIR_PIPELINE_FAULT_H

#include "spool/recover.h"
#include "spool/spool.h"
#include "websocket/client.h"

#include <limits.h>
#include <weir.h>

#define FAULT_MESSAGE_SIZE (PATH_MAX + 1024) /* there is a path in most of them */

struct fault {
	enum weir_outcome outcome;
	char message[FAULT_MESSAGE_SIZE];
};

/* Notes a fault, unless a more serious one was noted before; the first of equals stays. */
void fault_set(struct fault *fault, enum weir_outcome outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Notes what the end of a connection means when nobody here wanted it to end. */
void fault_set_connection(struct fault *fault, const char *url, const struct client_end *end);

/* What becomes of what was captured and is not processed, as two parts of a sentence. */
struct fault_rest {
	const char *fate, *place; /* "is left in the spool ", and its path */
};

struct fault_rest fault_rest(const struct weir_capture_options *options, const char *path);

/* Notes that opening a spool failed with −errno. */
void fault_set_spool(struct fault *fault, const struct weir_capture_options *options, int error);

/* Notes that a sync of the spool at `path` failed; records in front of `end_seq` are durable. */
void fault_set_sync(struct fault *fault, const char *path, int error, uint64_t end_seq);

/* Notes that there is no room in the spool at `path`, and what that means. */
void fault_set_full(struct fault *fault, const char *path, enum spool_lack lack,
		    const char *meaning);

/* Notes that writing to the spool at `path` failed with −errno. */
void fault_set_storage(struct fault *fault, const struct weir_capture_options *options,
		       const char *path, int error);

/* What was found in the spool at `path`, as a sentence. */
void fault_describe_found(char text[FAULT_MESSAGE_SIZE], const char *path,
			  const struct recover_news *news);

#endif
