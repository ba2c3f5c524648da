using CriuPS.Criu.Line;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using Xunit;

namespace CriuPS.Tests.Criu;

public sealed class GetOptTests
{
    [Theory]
    [InlineData("--tree=1", "tree=1", "")]
    [InlineData("--tree 1", "tree=1", "")]
    [InlineData("-t1", "tree=1", "")]
    [InlineData("-t 1", "tree=1", "")]
    [InlineData("--tre 1", "tree=1", "")]
    [InlineData("dump -t 1", "tree=1", "dump")]
    [InlineData("-t 1 dump -R", "tree=1 leave-running", "dump")]
    [InlineData("-djl", "restore-detached shell-job file-locks", "")]
    [InlineData("-jDimages", "shell-job images-dir=images", "")]
    [InlineData("-v", "verbosity", "")]
    [InlineData("-v4", "verbosity=4", "")]
    [InlineData("-vvvv", "verbosity=vvv", "")]
    [InlineData("-v 4", "verbosity", "4")]
    [InlineData("-verbosity=0", "verbosity=erbosity=0", "")]
    [InlineData("--verbosity=4", "verbosity=4", "")]
    [InlineData("--ext-unix-sk", "ext-unix-sk", "")]
    [InlineData("--ext-unix-sk=1,2", "ext-unix-sk=1,2", "")]
    [InlineData("-x1,2", "ext-unix-sk=1,2", "")]
    [InlineData("--manage-cgroups full", "manage-cgroups", "full")]
    [InlineData("--no-shell-job", "no-shell-job", "")]
    [InlineData("--tcp-e", "tcp-established", "")]
    [InlineData("--tls", "tls", "")]
    [InlineData("--log-file=", "log-file=", "")]
    [InlineData("--log-file -", "log-file=-", "")]
    [InlineData("- dump", "", "- dump")]
    [InlineData("restore --exec-cmd -- sh -c x", "exec-cmd", "restore sh -c x")]
    public void SplitsAsGetOptDoes(string line, string options, string operands)
    {
        (IReadOnlyList<NamedOption> found, IReadOnlyList<string> rest) = GetOpt.Split(line.Split(' '));
        Assert.Equal(options, string.Join(' ', found.Select(o => o.Value is null ? o.Name : $"{o.Name}={o.Value}")));
        Assert.Equal(operands, string.Join(' ', rest));
    }

    [Theory]
    [InlineData("--bogus", "UnknownOption", "--bogus")]
    [InlineData("-q", "UnknownOption", "-q")]
    [InlineData("-dq", "UnknownOption", "-q")]
    [InlineData("--no-tree", "UnknownOption", "--no-tree")]
    [InlineData("--t 1", "AmbiguousOption", "--t")]
    [InlineData("--ext=1", "AmbiguousOption", "--ext")]
    [InlineData("dump --tree", "OptionNeedsValue", "--tree")]
    [InlineData("dump -t", "OptionNeedsValue", "-t")]
    [InlineData("--shell-job=yes", "OptionTakesNoValue", "--shell-job")]
    public void NamesTheOptionThatIsWrong(string line, string id, string subject)
    {
        CriuException e = Assert.Throws<CriuException>(() => GetOpt.Split(line.Split(' ')));
        Assert.Equal((id, subject, CriuErrorKind.BadOption), (e.Id, e.Subject, e.Kind));
    }
}
