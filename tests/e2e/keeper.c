/*
 * A COMMAND that keeps a copy of every segment: keeper DIRECTORY DATA.
 *
 * The copy of the data and of $WEIR_INDEX goes to DIRECTORY/$RUN.$WEIR_FIRST_SEQ.PID, and when it
 * is whole, keeper signs for it: it adds a line "NAME RUN FIRST_SEQ POSITION" to DIRECTORY/order.
 * POSITION is the size that $POSITION_OF has just then, 0 without one.
 *
 * One in $FAIL segments fails before that and one behind it; one in $SLOW takes its time. Which
 * ones they are depends on the number of the segment and on the run alone.
 *
 * In C and linked statically, because a shell and its programs take longer than weir itself.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t number_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

static bool copy(const char *from, const char *directory, uint64_t first_seq, const char *suffix)
{
	char to[4096], bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t got = -1;

	snprintf(to, sizeof(to), "%s/%020ju.%s", directory, (uintmax_t)first_seq, suffix);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while (in >= 0 && out >= 0 && (got = read(in, bytes, sizeof(bytes))) > 0)
		if (write(out, bytes, (size_t)got) != got)
			return false;
	return got == 0 && close(in) == 0 && close(out) == 0;
}

static uint64_t position(void)
{
	const char *path = getenv("POSITION_OF");
	struct stat status;

	return path && stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* By one write to the end: a line is there whole, or not at all. */
static bool sign(const char *directory, const char *name, uint64_t run, uint64_t first_seq)
{
	char path[4096], line[256];
	int size = snprintf(line, sizeof(line), "%s %ju %ju %ju\n", name, (uintmax_t)run,
			    (uintmax_t)first_seq, (uintmax_t)position());
	int fd;

	snprintf(path, sizeof(path), "%s/order", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, line, (size_t)size) == size;
}

int main(int argc, char *argv[])
{
	const char *index = getenv("WEIR_INDEX");
	uint64_t run = number_of("RUN"), first_seq = number_of("WEIR_FIRST_SEQ");
	uint64_t fail = number_of("FAIL"), slow = number_of("SLOW");
	uint64_t fate = first_seq * 7919 + run * 31;
	char name[64], place[4096];

	if (argc != 3 || !index)
		return 2;
	snprintf(name, sizeof(name), "%ju.%ju.%d", (uintmax_t)run, (uintmax_t)first_seq,
		 (int)getpid());
	snprintf(place, sizeof(place), "%s/%s", argv[1], name);
	if (mkdir(place, 0700) < 0)
		return 2;
	if (slow > 0 && fate % slow == 0)
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	if (fail > 0 && fate % fail == 1)
		return 3;
	if (!copy(argv[2], place, first_seq, "data") || !copy(index, place, first_seq, "index") ||
	    !sign(argv[1], name, run, first_seq))
		return 4;
	return fail > 0 && fate % fail == 2 ? 5 : 0;
}
