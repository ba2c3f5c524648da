using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Line;

/// <summary>
/// Splits a command line as getopt_long(3) does: <c>--tree=1</c>, <c>--tree 1</c>, <c>-t1</c>, <c>-t 1</c>, <c>-djl</c>, unambiguous
/// beginnings of long names, values that may be left out (only <c>--name=value</c> or <c>-xvalue</c> gives one), operands anywhere,
/// <c>--</c> before operands alone. System.CommandLine knows neither such values nor beginnings of names; scripts rely on both.
/// </summary>
internal sealed class GetOpt
{
    private readonly Queue<string> _words;
    private readonly List<NamedOption> _options = [];
    private readonly List<string> _operands = [];

    private GetOpt(IEnumerable<string> words) => _words = new Queue<string>(words);

    /// <summary>Splits words.</summary>
    /// <exception cref="CriuException">An option is unknown or ambiguous, lacks its value or has one that it does not take.</exception>
    public static (IReadOnlyList<NamedOption> Options, IReadOnlyList<string> Operands) Split(IEnumerable<string> words)
    {
        GetOpt line = new(words);
        line.Split();
        return (line._options, line._operands);
    }

    private void Split()
    {
        while (_words.TryDequeue(out string? word))
        {
            if (word == "--")
            {
                _operands.AddRange(_words);
                return;
            }

            if (word.StartsWith("--", StringComparison.Ordinal))
            {
                Long(word[2..]);
            }
            else if (word.Length > 1 && word[0] == '-')
            {
                Letters(word[1..]);
            }
            else
            {
                _operands.Add(word);
            }
        }
    }

    private void Long(string word)
    {
        int equals = word.IndexOf('=');
        string name = FullName(equals < 0 ? word : word[..equals]);
        string? value = equals < 0 ? null : word[(equals + 1)..];
        Add(OptionTable.Find(name, out _) ?? FaceOptions.Find(name)!, name, $"--{name}", value);
    }

    // An exact name wins over one that only begins with it.
    private static string FullName(string beginning)
    {
        if (OptionTable.Find(beginning, out _) is not null || FaceOptions.Find(beginning) is not null)
        {
            return beginning;
        }

        string[] names = [.. FaceOptions.AllNames.Where(name => name.StartsWith(beginning, StringComparison.Ordinal))];
        return names switch
        {
            [string only] => only,
            [] => throw new CriuException("UnknownOption", CriuErrorKind.BadOption, $"there is no option --{beginning}")
            {
                Subject = $"--{beginning}", Remedy = "see criu --help",
            },
            _ => throw new CriuException(
                "AmbiguousOption", CriuErrorKind.BadOption, $"option --{beginning} is ambiguous: --{string.Join(", --", names)}")
            {
                Subject = $"--{beginning}",
            },
        };
    }

    private void Letters(string letters)
    {
        for (int i = 0; i < letters.Length; i++)
        {
            char letter = letters[i];
            OptionDefinition option = FaceOptions.Find(letter)
                ?? throw new CriuException("UnknownOption", CriuErrorKind.BadOption, $"there is no option -{letter}")
                {
                    Subject = $"-{letter}", Remedy = "see criu --help",
                };
            if (option.Argument != OptionArgument.None)
            {
                Add(option, option.Name, $"-{letter}", i + 1 < letters.Length ? letters[(i + 1)..] : null);
                return;
            }

            Add(option, option.Name, $"-{letter}", null);
        }
    }

    private void Add(OptionDefinition option, string name, string spelling, string? value)
    {
        if (option.Argument == OptionArgument.None && value is not null)
        {
            throw new CriuException("OptionTakesNoValue", CriuErrorKind.BadOption, $"option {spelling} takes no value, not even '{value}'")
            {
                Subject = spelling,
            };
        }

        if (option.Argument == OptionArgument.Required && value is null && !_words.TryDequeue(out value))
        {
            throw new CriuException("OptionNeedsValue", CriuErrorKind.BadOption, $"option {spelling} needs a value") { Subject = spelling };
        }

        _options.Add(new NamedOption(name, value));
    }
}
