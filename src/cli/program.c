/* Exit codes as the shell has them. */
#include "cli/program.h"

#include "cli/say.h"
#include "process/command.h"

#include <errno.h>

int program_check(const char *program, const char *consequence)
{
	switch (command_find(program)) {
	case 0:
		return 0;
	case -ENOENT:
		say_error("the command \"%s\" was not found%s", program, consequence);
		return EXIT_NOT_FOUND;
	default:
		say_error("the command \"%s\" cannot be executed%s", program, consequence);
		return EXIT_CANNOT_EXECUTE;
	}
}
