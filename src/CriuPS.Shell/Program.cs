System.Console.Error.WriteLine("the embedded shell is not there yet");
return 1;
